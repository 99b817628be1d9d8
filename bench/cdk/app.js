// The pipeline of Pulumi.dev.yaml as an AWS CDK app, written the way CDK's own documentation does it:
// one construct a job, least privilege by grants, a role per action as CDK makes them by itself.
// Only there to compare figures with; its buildspecs are shorter than ours, which is in CDK's favour.
"use strict";

const cdk = require("aws-cdk-lib");
const codebuild = require("aws-cdk-lib/aws-codebuild");
const codeconnections = require("aws-cdk-lib/aws-codeconnections");
const codedeploy = require("aws-cdk-lib/aws-codedeploy");
const codepipeline = require("aws-cdk-lib/aws-codepipeline");
const actions = require("aws-cdk-lib/aws-codepipeline-actions");
const ec2 = require("aws-cdk-lib/aws-ec2");
const ecr = require("aws-cdk-lib/aws-ecr");
const ecs = require("aws-cdk-lib/aws-ecs");
const elb = require("aws-cdk-lib/aws-elasticloadbalancingv2");
const iam = require("aws-cdk-lib/aws-iam");
const kms = require("aws-cdk-lib/aws-kms");
const logs = require("aws-cdk-lib/aws-logs");
const s3 = require("aws-cdk-lib/aws-s3");
const ssm = require("aws-cdk-lib/aws-ssm");

const REGION = "eu-west-1";
const ACCOUNT = "123456789012";
const REPOSITORY = { owner: "example", repo: "shop", branch: "main" };

const MACHINES = {
  docker: {
    buildImage: codebuild.LinuxArmBuildImage.AMAZON_LINUX_2_STANDARD_3_0,
    computeType: codebuild.ComputeType.SMALL,
    privileged: true,
  },
  quick: {
    buildImage: codebuild.LinuxArmLambdaBuildImage.AMAZON_LINUX_2023_PYTHON_3_12,
    computeType: codebuild.ComputeType.LAMBDA_1GB,
  },
  browser: {
    buildImage: codebuild.LinuxBuildImage.STANDARD_7_0,
    computeType: codebuild.ComputeType.MEDIUM,
  },
};

class Delivery extends cdk.Stack {
  constructor(scope, name, { application, ...props }) {
    super(scope, `${application}-${name}`, props);
    this.prefix = `${application}-${name}`;
    this.application = application;
    cdk.Tags.of(this).add("application", application);
    cdk.Tags.of(this).add("environment", name);

    this.key = new kms.Key(this, "Key", { enableKeyRotation: true, removalPolicy: cdk.RemovalPolicy.DESTROY });
    this.key.grantEncryptDecrypt(new iam.ServicePrincipal(`logs.${REGION}.amazonaws.com`));
    this.bucket = new s3.Bucket(this, "Artifacts", {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      lifecycleRules: [{ expiration: cdk.Duration.days(14), noncurrentVersionExpiration: cdk.Duration.days(14) }],
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
    const images = this.repository("Images", this.prefix);
    const smokeImages = this.repository("SmokeTestImages", `${this.prefix}-smoke-test`);
    const prod = ecr.Repository.fromRepositoryName(this, "Prod", `${application}-prod`);

    const source = new codepipeline.Artifact("SourceOutput");
    const image = new codepipeline.Artifact("ImageOutput");
    const smokeImage = new codepipeline.Artifact("SmokeTestImageOutput");
    const deployment = new codepipeline.Artifact("DeploymentOutput");
    const report = new codepipeline.Artifact("LighthouseReport");

    const connection = new codeconnections.CfnConnection(this, "Connection", {
      connectionName: this.prefix,
      providerType: "GitHub",
    });
    const commit = new actions.CodeStarConnectionsSourceAction({
      actionName: "Source",
      ...REPOSITORY,
      connectionArn: connection.attrConnectionArn,
      output: source,
      triggerOnPush: false,
      variablesNamespace: "Source",
    });

    const buildImage = this.project("BuildImage", MACHINES.docker, {
      variables: { IMAGE_REPOSITORY_URI: images.repositoryUri, DOCKERFILE: "Dockerfile", PLATFORM: "linux/arm64" },
      commands: ["docker buildx build --push --tag \"$IMAGE_REPOSITORY_URI:$COMMIT_ID\" --file \"$DOCKERFILE\" ."],
      exported: ["IMAGE_DIGEST"],
      minutes: 30,
    });
    images.grantPullPush(buildImage);
    const buildSmoke = this.project("BuildSmokeTestImage", MACHINES.docker, {
      variables: { IMAGE_REPOSITORY_URI: smokeImages.repositoryUri, DOCKERFILE: "smoke/Dockerfile" },
      commands: ["docker buildx build --push --tag \"$IMAGE_REPOSITORY_URI:$COMMIT_ID\" --file \"$DOCKERFILE\" ."],
      minutes: 30,
    });
    smokeImages.grantPullPush(buildSmoke);
    const template = new ssm.StringParameter(this, "TaskDefinition", { stringValue: this.taskDefinition() });
    const prepare = this.project("PrepareDeployment", MACHINES.quick, {
      variables: { TASK_DEFINITION_TEMPLATE: template.parameterName, CONTAINER_NAME: application, CONTAINER_PORT: "8080" },
      commands: ["python3 prepare_deployment.py"],
    });
    template.grantRead(prepare);
    images.grantPull(prepare);

    const lighthouse = this.project("RunLighthouse", MACHINES.browser, {
      variables: {
        SERVICE_URL: "https://shop-dev.example.com",
        LIGHTHOUSE_BUDGETS: '{"performance": 80, "accessibility": 90, "best-practices": 90, "seo": 80}',
      },
      commands: ["npx lighthouse \"$SERVICE_URL\" --output=json --output-path=report.json"],
      minutes: 30,
    });
    const smokeTest = this.project("RunSmokeTest", MACHINES.docker, {
      variables: { SERVICE_URL: "https://shop-dev.example.com" },
      commands: ["docker run --rm --env SERVICE_URL \"$IMAGE\""],
      minutes: 30,
    });
    smokeImages.grantPull(smokeTest);
    const promote = this.project("PromoteImage", MACHINES.quick, {
      variables: { TARGET_REPOSITORY: prod.repositoryName, CHANNEL_TAG: "promoted" },
      commands: ["python3 promote_image.py"],
    });
    images.grantPull(promote);
    prod.grantPullPush(promote);

    const runs = new codepipeline.Variable({
      variableName: "LIGHTHOUSE_RUNS",
      defaultValue: "3",
      description: "Lighthouse runs per page",
    });
    new codepipeline.Pipeline(this, "Pipeline", {
      pipelineName: this.prefix,
      pipelineType: codepipeline.PipelineType.V2,
      executionMode: codepipeline.ExecutionMode.SUPERSEDED,
      artifactBucket: this.bucket,
      variables: [runs],
      triggers: [
        {
          providerType: codepipeline.ProviderType.CODE_STAR_SOURCE_CONNECTION,
          gitConfiguration: {
            sourceAction: commit,
            pushFilter: [{ branchesIncludes: ["main"], filePathsExcludes: ["docs/**", "*.md"] }],
          },
        },
      ],
      stages: [
        { stageName: "Source", actions: [commit] },
        {
          stageName: "Build",
          actions: [
            this.build("BuildImage", buildImage, source, image, {
              variablesNamespace: "BuildImage",
              environmentVariables: { COMMIT_ID: { value: commit.variables.commitId } },
            }),
            this.build("BuildSmokeTestImage", buildSmoke, source, smokeImage, {
              environmentVariables: { COMMIT_ID: { value: commit.variables.commitId } },
            }),
            this.build("PrepareDeployment", prepare, image, deployment, {
              runOrder: 2,
              environmentVariables: { IMAGE_DIGEST: { value: "#{BuildImage.IMAGE_DIGEST}" } },
            }),
          ],
        },
        { stageName: "Deploy", actions: [this.deploy(deployment)] },
        {
          stageName: "Test",
          actions: [
            this.build("RunLighthouse", lighthouse, deployment, report, {
              type: actions.CodeBuildActionType.TEST,
              environmentVariables: { LIGHTHOUSE_RUNS: { value: runs.reference() } },
            }),
            this.build("RunSmokeTest", smokeTest, smokeImage, undefined, { type: actions.CodeBuildActionType.TEST }),
          ],
        },
        { stageName: "Promote", actions: [this.build("PromoteImage", promote, deployment)] },
      ],
    });
  }

  repository(id, repositoryName) {
    return new ecr.Repository(this, id, {
      repositoryName,
      encryption: ecr.RepositoryEncryption.KMS,
      encryptionKey: this.key,
      imageScanOnPush: true,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      lifecycleRules: [
        { tagStatus: ecr.TagStatus.UNTAGGED, maxImageAge: cdk.Duration.days(7), rulePriority: 1 },
        { tagStatus: ecr.TagStatus.ANY, maxImageCount: 100, rulePriority: 2 },
      ],
      emptyOnDelete: true,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
  }

  project(id, machine, { variables, commands, exported = [], minutes }) {
    const logGroup = new logs.LogGroup(this, `${id}Logs`, {
      logGroupName: `/aws/codebuild/${this.prefix}-${id}`,
      retention: logs.RetentionDays.THREE_MONTHS,
      encryptionKey: this.key,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
    return new codebuild.PipelineProject(this, id, {
      projectName: `${this.prefix}-${id}`,
      environment: machine,
      encryptionKey: this.key,
      timeout: minutes === undefined ? undefined : cdk.Duration.minutes(minutes),
      logging: { cloudWatch: { logGroup } },
      environmentVariables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, { value }])),
      buildSpec: codebuild.BuildSpec.fromObject({
        version: "0.2",
        env: { shell: "bash", "exported-variables": exported },
        phases: { build: { commands } },
        artifacts: { files: ["**/*"] },
      }),
    });
  }

  build(actionName, project, input, output, more = {}) {
    const outputs = output === undefined ? undefined : [output];
    return new actions.CodeBuildAction({ actionName, project, input, outputs, ...more });
  }

  deploy(deployment) {
    const balancer = `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT}`;
    const securityGroup = ec2.SecurityGroup.fromSecurityGroupId(this, "BalancerGroup", "sg-0123456789abcdef0");
    const listener = (id, last) =>
      elb.ApplicationListener.fromApplicationListenerAttributes(this, id, {
        listenerArn: `${balancer}:listener/app/shop-dev/0123456789abcdef/${last}`,
        securityGroup,
      });
    const targets = (id, color) =>
      elb.ApplicationTargetGroup.fromTargetGroupAttributes(this, id, {
        targetGroupArn: `${balancer}:targetgroup/shop-dev-${color}/0123456789abcdef`,
      });
    const cluster = ecs.Cluster.fromClusterArn(this, "Cluster", `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/shop-dev`);
    const service = ecs.FargateService.fromFargateServiceAttributes(this, "Service", { cluster, serviceName: "shop" });
    const application = new codedeploy.EcsApplication(this, "CodeDeploy", { applicationName: this.prefix });
    const deploymentGroup = new codedeploy.EcsDeploymentGroup(this, "DeploymentGroup", {
      application,
      deploymentGroupName: this.prefix,
      service,
      deploymentConfig: codedeploy.EcsDeploymentConfig.CANARY_10PERCENT_5MINUTES,
      autoRollback: { failedDeployment: true },
      blueGreenDeploymentConfig: {
        blueTargetGroup: targets("Blue", "blue"),
        greenTargetGroup: targets("Green", "green"),
        listener: listener("Production", "0000000000000443"),
        testListener: listener("Test", "0000000000008443"),
        terminationWaitTime: cdk.Duration.minutes(5),
      },
    });
    return new actions.CodeDeployEcsDeployAction({
      actionName: "DeployService",
      deploymentGroup,
      taskDefinitionTemplateInput: deployment,
      appSpecTemplateInput: deployment,
    });
  }

  taskDefinition() {
    return JSON.stringify({
      family: this.prefix,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      runtimePlatform: { cpuArchitecture: "ARM64", operatingSystemFamily: "LINUX" },
      executionRoleArn: `arn:aws:iam::${ACCOUNT}:role/shop-dev-execution`,
      taskRoleArn: `arn:aws:iam::${ACCOUNT}:role/shop-dev-task`,
      containerDefinitions: [
        {
          name: this.application,
          image: "<IMAGE1_NAME>",
          essential: true,
          portMappings: [{ containerPort: 8080, protocol: "tcp" }],
          environment: [{ name: "LOG_LEVEL", value: "debug" }],
          readonlyRootFilesystem: true,
        },
      ],
    });
  }
}

const app = new cdk.App();
new Delivery(app, "dev", { application: "shop", env: { account: ACCOUNT, region: REGION } });
app.synth();
