// What Pulumi.dev.yaml makes, pipeline and hosting, as an AWS CDK app, written the way CDK's own documentation does it:
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
const ZONES = ["eu-west-1a", "eu-west-1b"];
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
    this.bucket = this.store("Artifacts", 14, {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      versioned: true,
    });
    const images = this.repository("Images", this.prefix);
    const smokeImages = this.repository("SmokeTestImages", `${this.prefix}-smoke-test`);
    this.repository("BuildTools", `${this.prefix}-build-tools`);
    const prod = ecr.Repository.fromRepositoryName(this, "Prod", `${application}-prod`);
    const hosting = this.hosting(images);
    const url = `http://${hosting.balancer.loadBalancerDnsName}`;

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

    const template = new ssm.StringParameter(this, "TaskDefinition", { stringValue: this.template(hosting.taskDefinition) });
    const buildImage = this.project("BuildImage", MACHINES.docker, {
      variables: {
        IMAGE_REPOSITORY_URI: images.repositoryUri,
        DOCKERFILE: "Dockerfile",
        PLATFORM: "linux/arm64",
        TASK_DEFINITION_TEMPLATE: template.parameterName,
        CONTAINER_NAME: application,
        CONTAINER_PORT: "8080",
      },
      commands: [
        "docker buildx build --push --tag \"$IMAGE_REPOSITORY_URI:$COMMIT_ID\" --file \"$DOCKERFILE\" .",
        "python3 prepare_deployment.py",
      ],
      exported: ["DEPLOYED_COMMIT", "DEPLOYED_VERSION", "IMAGE_DIGEST"],
      outputs: [image, deployment],
      minutes: 30,
    });
    images.grantPullPush(buildImage);
    template.grantRead(buildImage);
    const buildSmoke = this.project("BuildSmokeTestImage", MACHINES.docker, {
      variables: { IMAGE_REPOSITORY_URI: smokeImages.repositoryUri, DOCKERFILE: "smoke/Dockerfile" },
      commands: ["docker buildx build --push --tag \"$IMAGE_REPOSITORY_URI:$COMMIT_ID\" --file \"$DOCKERFILE\" ."],
      minutes: 30,
    });
    smokeImages.grantPullPush(buildSmoke);

    const lighthouse = this.project("RunLighthouse", MACHINES.browser, {
      variables: {
        SERVICE_URL: url,
        LIGHTHOUSE_BUDGETS: '{"performance": 80, "accessibility": 90, "best-practices": 90, "seo": 80}',
      },
      commands: ["npx lighthouse \"$SERVICE_URL\" --output=json --output-path=report.json"],
      minutes: 30,
    });
    const reports = new codebuild.ReportGroup(this, "LighthouseReports", {
      reportGroupName: `${this.prefix}-lighthouse`,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
      deleteReports: true,
    });
    reports.grantWrite(lighthouse);
    const { taskDefinition: smokeTask, logGroup: smokeLogs } = this.task("SmokeTestTask", smokeImages, "smoke-test");
    const smokeTest = this.project("RunSmokeTest", MACHINES.quick, {
      variables: { SERVICE_URL: url, TASK_DEFINITION: smokeTask.family },
      commands: ["python3 run_smoke_test.py"],
    });
    smokeTask.grantRun(smokeTest);
    smokeLogs.grantRead(smokeTest);
    const watch = this.project("WatchDeployment", MACHINES.quick, {
      variables: { CLUSTER: hosting.cluster.clusterName, SERVICE: hosting.service.serviceName },
      commands: ["python3 watch_deployment.py"],
    });
    hosting.logGroup.grantRead(watch);
    watch.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ["ecs:DescribeServices"],
        resources: [hosting.service.serviceArn],
      }),
    );
    watch.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ["ecs:ListTasks", "ecs:DescribeTasks"],
        resources: ["*"],
        conditions: { ArnEquals: { "ecs:cluster": hosting.cluster.clusterArn } },
      }),
    );
    const verify = this.project("VerifyImage", MACHINES.quick, {
      variables: { IMAGE_REPOSITORY_URI: images.repositoryUri },
      commands: ["python3 verify_image.py"],
    });
    images.grantPull(verify);
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
            this.build("BuildImage", buildImage, source, [image, deployment], {
              variablesNamespace: "BuildImage",
              environmentVariables: { COMMIT_ID: { value: commit.variables.commitId } },
            }),
            this.build("BuildSmokeTestImage", buildSmoke, source, [smokeImage], {
              environmentVariables: { COMMIT_ID: { value: commit.variables.commitId } },
            }),
          ],
        },
        {
          stageName: "Deploy",
          actions: [
            this.deploy(deployment, hosting),
            this.build("WatchDeployment", watch, deployment, [], {
              environmentVariables: { PIPELINE_EXECUTION_ID: { value: "#{codepipeline.PipelineExecutionId}" } },
            }),
          ],
        },
        {
          stageName: "Test",
          actions: [
            this.build("RunLighthouse", lighthouse, deployment, [report], {
              type: actions.CodeBuildActionType.TEST,
              environmentVariables: { LIGHTHOUSE_RUNS: { value: runs.reference() } },
            }),
            this.build("RunSmokeTest", smokeTest, smokeImage, [], { type: actions.CodeBuildActionType.TEST }),
          ],
        },
        {
          stageName: "Promote",
          actions: [
            this.build("VerifyImage", verify, image, [], {
              environmentVariables: { IMAGE_DIGEST: { value: "#{BuildImage.IMAGE_DIGEST}" } },
            }),
            this.build("PromoteImage", promote, deployment, [], { runOrder: 2 }),
          ],
        },
      ],
    });
  }

  // Public subnets for the tasks, a load balancer, and a service that CodeDeploy moves.
  hosting(repository) {
    const vpc = new ec2.Vpc(this, "Network", {
      ipAddresses: ec2.IpAddresses.cidr("10.0.0.0/16"),
      availabilityZones: ZONES,
      natGateways: 0,
      restrictDefaultSecurityGroup: true,
      subnetConfiguration: [
        { name: "public", subnetType: ec2.SubnetType.PUBLIC, cidrMask: 19 },
        { name: "private", subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 19 },
      ],
    });
    const users = new ec2.SecurityGroup(this, "Users", { vpc, allowAllOutbound: false });
    const tasks = new ec2.SecurityGroup(this, "Tasks", { vpc });
    users.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(80), "Users on port 80");
    tasks.addIngressRule(users, ec2.Port.tcpRange(1, 65535), "Load balancer");
    users.addEgressRule(tasks, ec2.Port.tcpRange(1, 65535), "Tasks");

    const balancer = new elb.ApplicationLoadBalancer(this, "Balancer", {
      vpc,
      loadBalancerName: `lb-${this.prefix}`,
      internetFacing: true,
      securityGroup: users,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: elb.DesyncMitigationMode.DEFENSIVE,
    });
    balancer.logAccessLogs(this.store("AccessLogs", 90, { encryption: s3.BucketEncryption.S3_MANAGED }));
    const [blue, green] = ["blue", "green"].map(
      (color) =>
        new elb.ApplicationTargetGroup(this, color, {
          vpc,
          targetGroupName: `${this.prefix}-${color}`,
          protocol: elb.ApplicationProtocol.HTTP,
          targetType: elb.TargetType.IP,
          deregistrationDelay: cdk.Duration.seconds(15),
          healthCheck: {
            path: "/healthz",
            interval: cdk.Duration.seconds(5),
            timeout: cdk.Duration.seconds(2),
            healthyThresholdCount: 2,
            unhealthyThresholdCount: 2,
            healthyHttpCodes: "200-399",
          },
        }),
    );
    const listener = (id, port, open) =>
      balancer.addListener(id, { port, open, protocol: elb.ApplicationProtocol.HTTP, defaultTargetGroups: [blue] });
    const production = listener("Production", 80, false);
    const test = listener("Test", 8080, false);

    const cluster = new ecs.Cluster(this, "Cluster", {
      vpc,
      clusterName: this.prefix,
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
      enableFargateCapacityProviders: true,
    });
    const { taskDefinition, logGroup } = this.task("Task", repository, this.application);
    const service = new ecs.FargateService(this, "Service", {
      cluster,
      taskDefinition,
      serviceName: this.prefix,
      desiredCount: 2,
      assignPublicIp: true,
      securityGroups: [tasks],
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      deploymentController: { type: ecs.DeploymentControllerType.CODE_DEPLOY },
      healthCheckGracePeriod: cdk.Duration.seconds(60),
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
    });
    blue.addTarget(service);
    service.autoScaleTaskCount({ minCapacity: 2, maxCapacity: 4 }).scaleOnCpuUtilization("Cpu", {
      targetUtilizationPercent: 60,
      scaleInCooldown: cdk.Duration.seconds(300),
      scaleOutCooldown: cdk.Duration.seconds(60),
    });
    return { balancer, blue, green, production, test, cluster, service, taskDefinition, logGroup };
  }

  // A task of one container, with its roles and its log.
  task(id, repository, name) {
    const logGroup = this.logGroup(`${id}Logs`, `/ecs/${this.prefix}/${name}`);
    const taskDefinition = new ecs.FargateTaskDefinition(this, id, {
      family: `${this.prefix}-${name}`,
      cpu: 256,
      memoryLimitMiB: 512,
      runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.ARM64, operatingSystemFamily: ecs.OperatingSystemFamily.LINUX },
      volumes: [{ name: "tmp" }],
    });
    const container = taskDefinition.addContainer(name, {
      containerName: name,
      image: ecs.ContainerImage.fromEcrRepository(repository, "none-yet"),
      portMappings: [{ containerPort: 8080 }],
      environment: { LOG_LEVEL: "debug" },
      readonlyRootFilesystem: true,
      logging: ecs.LogDrivers.awsLogs({ streamPrefix: name, logGroup, mode: ecs.AwsLogDriverMode.NON_BLOCKING }),
    });
    container.addMountPoints({ sourceVolume: "tmp", containerPath: "/tmp", readOnly: false });
    return { taskDefinition, logGroup };
  }

  store(id, days, more) {
    return new s3.Bucket(this, id, {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [
        { expiration: cdk.Duration.days(days), noncurrentVersionExpiration: cdk.Duration.days(days) },
      ],
      removalPolicy: cdk.RemovalPolicy.DESTROY,
      ...more,
    });
  }

  logGroup(id, logGroupName) {
    return new logs.LogGroup(this, id, {
      logGroupName,
      retention: logs.RetentionDays.THREE_MONTHS,
      encryptionKey: this.key,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
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

  // Of several artifacts each is a secondary one, by its name.
  project(id, machine, { variables, commands, exported = [], outputs = [], minutes }) {
    const files = { files: ["**/*"] };
    const secondary = Object.fromEntries(outputs.map((output) => [output.artifactName, files]));
    const logGroup = this.logGroup(`${id}Logs`, `/aws/codebuild/${this.prefix}-${id}`);
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
        artifacts: outputs.length > 1 ? { "secondary-artifacts": secondary } : files,
      }),
    });
  }

  build(actionName, project, input, outputs, more = {}) {
    return new actions.CodeBuildAction({ actionName, project, input, outputs, ...more });
  }

  deploy(deployment, { service, blue, green, production, test }) {
    const application = new codedeploy.EcsApplication(this, "CodeDeploy", { applicationName: this.prefix });
    const deploymentGroup = new codedeploy.EcsDeploymentGroup(this, "DeploymentGroup", {
      application,
      deploymentGroupName: this.prefix,
      service,
      deploymentConfig: codedeploy.EcsDeploymentConfig.ALL_AT_ONCE,
      autoRollback: { failedDeployment: true, stoppedDeployment: true },
      blueGreenDeploymentConfig: {
        blueTargetGroup: blue,
        greenTargetGroup: green,
        listener: production,
        testListener: test,
        terminationWaitTime: cdk.Duration.minutes(0),
      },
    });
    return new actions.CodeDeployEcsDeployAction({
      actionName: "DeployService",
      deploymentGroup,
      taskDefinitionTemplateInput: deployment,
      appSpecTemplateInput: deployment,
    });
  }

  template(taskDefinition) {
    return this.toJsonString({
      family: this.prefix,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      runtimePlatform: { cpuArchitecture: "ARM64", operatingSystemFamily: "LINUX" },
      executionRoleArn: taskDefinition.executionRole.roleArn,
      taskRoleArn: taskDefinition.taskRole.roleArn,
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
