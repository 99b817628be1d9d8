"""What the two programs make, type by type. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.figures import table
from bench.measure import BenchError

PARTS = (
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
)
"""What is a resource of its own for Pulumi, and a property of its owner in CloudFormation."""
TYPES: Mapping[str, str] = {
    "aws:appautoscaling/policy:Policy": "AWS::ApplicationAutoScaling::ScalingPolicy",
    "aws:appautoscaling/target:Target": "AWS::ApplicationAutoScaling::ScalableTarget",
    "aws:cloudwatch/logGroup:LogGroup": "AWS::Logs::LogGroup",
    "aws:codebuild/project:Project": "AWS::CodeBuild::Project",
    "aws:codebuild/reportGroup:ReportGroup": "AWS::CodeBuild::ReportGroup",
    "aws:codeconnections/connection:Connection": "AWS::CodeConnections::Connection",
    "aws:codedeploy/application:Application": "AWS::CodeDeploy::Application",
    "aws:codedeploy/deploymentGroup:DeploymentGroup": "AWS::CodeDeploy::DeploymentGroup",
    "aws:codepipeline/pipeline:Pipeline": "AWS::CodePipeline::Pipeline",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "Custom::VpcRestrictDefaultSG",
    "aws:ec2/internetGateway:InternetGateway": "AWS::EC2::InternetGateway",
    "aws:ec2/route:Route": "AWS::EC2::Route",
    "aws:ec2/routeTable:RouteTable": "AWS::EC2::RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "AWS::EC2::SubnetRouteTableAssociation",
    "aws:ec2/securityGroup:SecurityGroup": "AWS::EC2::SecurityGroup",
    "aws:ec2/subnet:Subnet": "AWS::EC2::Subnet",
    "aws:ec2/vpc:Vpc": "AWS::EC2::VPC",
    "aws:ecr/repository:Repository": "AWS::ECR::Repository",
    "aws:ecs/cluster:Cluster": "AWS::ECS::Cluster",
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": "AWS::ECS::ClusterCapacityProviderAssociations",
    "aws:ecs/service:Service": "AWS::ECS::Service",
    "aws:ecs/taskDefinition:TaskDefinition": "AWS::ECS::TaskDefinition",
    "aws:iam/role:Role": "AWS::IAM::Role",
    "aws:iam/rolePolicy:RolePolicy": "AWS::IAM::Policy",
    "aws:kms/key:Key": "AWS::KMS::Key",
    "aws:lb/listener:Listener": "AWS::ElasticLoadBalancingV2::Listener",
    "aws:lb/loadBalancer:LoadBalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "aws:lb/targetGroup:TargetGroup": "AWS::ElasticLoadBalancingV2::TargetGroup",
    "aws:s3/bucket:Bucket": "AWS::S3::Bucket",
    "aws:s3/bucketObjectv2:BucketObjectv2": "an object in S3",
    "aws:s3/bucketPolicy:BucketPolicy": "AWS::S3::BucketPolicy",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "AWS::EC2::SecurityGroupEgress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "AWS::EC2::SecurityGroupIngress",
}
REASONS: Mapping[str, str] = {
    "AWS::EC2::VPCGatewayAttachment": "Pulumi's gateway names its VPC",
    "AWS::ECS::TaskDefinition": "here the smoke test's is registered by its job",
    "AWS::IAM::Policy": "with the roles",
    "AWS::IAM::Role": "the CDK makes one for each action, too",
    "AWS::Lambda::Function": "runs the CDK's custom resource",
    "AWS::SSM::Parameter": "the template of the task definition, here an object",
    "an object in S3": "jobs, Lighthouse's packages, the template of the task definition",
}
"""Why one of the two has more of a type."""


def compared(pulumi: Iterable[str], cdk: Iterable[str]) -> str:
    """Say in which types the two agree, and how many of the others each makes, and why.

    Args:
        pulumi: The type of each resource here.
        cdk: The type of each resource of the twin.

    Raises:
        BenchError: They differ where nothing says why, so that the twin is no twin.
    """
    made = [type_ for type_ in pulumi if type_.startswith("aws:") and type_ not in PARTS]
    ours, theirs = Counter(TYPES.get(type_, type_) for type_ in made), Counter(cdk)
    other = sorted(type_ for type_ in ours | theirs if ours[type_] != theirs[type_])
    if unknown := [f"{type_} ({ours[type_]} here, {theirs[type_]} there)" for type_ in other if type_ not in REASONS]:
        raise BenchError(f"the CDK app no longer makes what Pulumi.dev.yaml does: {', '.join(unknown)}")
    same = [count for type_, count in ours.items() if type_ not in other]
    rows = [[type_, str(ours[type_]), str(theirs[type_]), REASONS[type_]] for type_ in other]
    agreed = f"{sum(same)} resources of {len(same)} types are the same here and there; of the others:"
    return f"{agreed}\n\n{table(['', 'Pulumi', 'CDK', 'why'], rows)}"
