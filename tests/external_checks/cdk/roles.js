// The actions, projects and tasks of this program's pipelines as an AWS CDK app, for the permissions CDK gives them.
"use strict";

const cdk = require("aws-cdk-lib");
const codebuild = require("aws-cdk-lib/aws-codebuild");
const codedeploy = require("aws-cdk-lib/aws-codedeploy");
const codepipeline = require("aws-cdk-lib/aws-codepipeline");
const actions = require("aws-cdk-lib/aws-codepipeline-actions");
const ec2 = require("aws-cdk-lib/aws-ec2");
const ecr = require("aws-cdk-lib/aws-ecr");
const ecs = require("aws-cdk-lib/aws-ecs");
const elb = require("aws-cdk-lib/aws-elasticloadbalancingv2");
const kms = require("aws-cdk-lib/aws-kms");
const logs = require("aws-cdk-lib/aws-logs");
const s3 = require("aws-cdk-lib/aws-s3");
const secretsmanager = require("aws-cdk-lib/aws-secretsmanager");
const sns = require("aws-cdk-lib/aws-sns");
const ssm = require("aws-cdk-lib/aws-ssm");

const REGION = "eu-west-1";
const ACCOUNT = "123456789012";
const CONNECTION = `arn:aws:codeconnections:${REGION}:${ACCOUNT}:connection/00000000-0000-0000-0000-000000000000`;
const BALANCER = `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT}`;

const app = new cdk.App();
const stack = new cdk.Stack(app, "roles", { env: { account: ACCOUNT, region: REGION } });

const key = new kms.Key(stack, "Key");
const artifactBucket = new s3.Bucket(stack, "Artifacts", {
  encryption: s3.BucketEncryption.KMS,
  encryptionKey: key,
  objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
});
const images = ecr.Repository.fromRepositoryName(stack, "Images", "shop");
const secret = secretsmanager.Secret.fromSecretCompleteArn(
  stack,
  "Secret",
  `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop-AbCdEf`,
);

function project(id, more = {}) {
  const logGroup = new logs.LogGroup(stack, `${id}Logs`, { encryptionKey: key });
  return new codebuild.PipelineProject(stack, id, {
    encryptionKey: key,
    logging: { cloudWatch: { logGroup } },
    buildSpec: codebuild.BuildSpec.fromObject({ version: "0.2", phases: { build: { commands: ["true"] } } }),
    grantReportGroupPermissions: false,
    ...more,
  });
}

const plain = project("PlainProject");
const reports = project("ReportsProject", { grantReportGroupPermissions: true });
const push = project("PushProject");
images.grantPullPush(push);
const pull = project("PullProject");
images.grantPull(pull);
const reader = project("SecretProject", {
  environmentVariables: {
    TOKEN: { type: codebuild.BuildEnvironmentVariableType.SECRETS_MANAGER, value: secret.secretArn },
  },
});
const clone = project("CloneProject");

const source = new codepipeline.Artifact("SourceOutput");
const cloned = new codepipeline.Artifact("CloneOutput");
const uploaded = new codepipeline.Artifact("UploadOutput");
const deployment = new codepipeline.Artifact("DeploymentOutput");
const image = new codepipeline.Artifact("ImageOutput");

const commit = (actionName, output, more = {}) =>
  new actions.CodeStarConnectionsSourceAction({
    actionName,
    owner: "example",
    repo: "shop",
    connectionArn: CONNECTION,
    output,
    triggerOnPush: false,
    ...more,
  });
const build = (codeBuildProject, input, outputs) =>
  new actions.CodeBuildAction({ actionName: codeBuildProject.node.id, project: codeBuildProject, input, outputs });

const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
  vpcId: "vpc-0123456789abcdef0",
  availabilityZones: ["eu-west-1a"],
  publicSubnetIds: ["subnet-0123456789abcdef0"],
});
const cluster = ecs.Cluster.fromClusterAttributes(stack, "Cluster", { clusterName: "shop", vpc });
const task = new ecs.FargateTaskDefinition(stack, "Task");
task.addContainer("shop", {
  image: ecs.ContainerImage.fromEcrRepository(images),
  logging: ecs.LogDrivers.awsLogs({ streamPrefix: "shop", logGroup: new logs.LogGroup(stack, "TaskLogs") }),
  secrets: {
    DATABASE_URL: ecs.Secret.fromSecretsManager(secret),
    KEY: ecs.Secret.fromSsmParameter(
      ssm.StringParameter.fromStringParameterName(stack, "Parameter", "/shop/key"),
    ),
  },
});
const service = new ecs.FargateService(stack, "Service", { cluster, taskDefinition: task, enableExecuteCommand: true });

const listener = elb.ApplicationListener.fromApplicationListenerAttributes(stack, "Listener", {
  listenerArn: `${BALANCER}:listener/app/shop/0123456789abcdef/0123456789abcdef`,
  securityGroup: ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-0123456789abcdef0"),
});
const targets = (color) =>
  elb.ApplicationTargetGroup.fromTargetGroupAttributes(stack, color, {
    targetGroupArn: `${BALANCER}:targetgroup/shop-${color}/0123456789abcdef`,
  });
const deploymentGroup = new codedeploy.EcsDeploymentGroup(stack, "CodeDeploy", {
  service: ecs.FargateService.fromFargateServiceAttributes(stack, "Deployed", { cluster, serviceName: "shop" }),
  blueGreenDeploymentConfig: {
    blueTargetGroup: targets("blue"),
    greenTargetGroup: targets("green"),
    listener,
  },
});

new codepipeline.Pipeline(stack, "Pipeline", {
  pipelineType: codepipeline.PipelineType.V2,
  artifactBucket,
  stages: [
    {
      stageName: "Source",
      actions: [
        commit("Source", source),
        commit("Clone", cloned, { codeBuildCloneOutput: true }),
        new actions.EcrSourceAction({ actionName: "Image", repository: images, imageTag: "promoted", output: image }),
        new actions.S3SourceAction({
          actionName: "Upload",
          bucket: s3.Bucket.fromBucketName(stack, "Uploads", "shop-uploads"),
          bucketKey: "shop.zip",
          trigger: actions.S3Trigger.NONE,
          output: uploaded,
        }),
      ],
    },
    {
      stageName: "Build",
      actions: [
        build(plain, source, [deployment]),
        build(clone, cloned),
        ...[reports, push, pull, reader].map((other) => build(other, source)),
      ],
    },
    {
      stageName: "Deploy",
      actions: [
        new actions.ManualApprovalAction({
          actionName: "Approve",
          notificationTopic: sns.Topic.fromTopicArn(stack, "Topic", `arn:aws:sns:${REGION}:${ACCOUNT}:shop`),
        }),
        new actions.CodeDeployEcsDeployAction({
          actionName: "CodeDeploy",
          deploymentGroup,
          taskDefinitionTemplateInput: deployment,
          appSpecTemplateInput: deployment,
        }),
        new actions.EcsDeployAction({ actionName: "Ecs", service, input: deployment }),
      ],
    },
  ],
});
app.synth();
