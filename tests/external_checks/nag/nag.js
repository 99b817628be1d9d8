// The rules of cdk-nag, AwsSolutions, over CloudFormation templates: one JSON line a finding.
"use strict";

const fs = require("fs");
const path = require("path");
const cdk = require("aws-cdk-lib");
const { CfnInclude } = require("aws-cdk-lib/cloudformation-include");
const { AwsSolutionsChecks } = require("cdk-nag");

const [folder] = process.argv.slice(2);
for (const file of fs.readdirSync(folder).sort()) {
  const stack = path.parse(file).name;
  const app = new cdk.App();
  new CfnInclude(new cdk.Stack(app, stack), "graph", { templateFile: path.join(folder, file) });
  for (const { ruleName, violatingResources } of new AwsSolutionsChecks(app).validateScope(app).violations) {
    const [check, , finding] = ruleName.match(/^([^[]+)(\[(.*)\])?$/).slice(1);
    for (const { constructPath } of violatingResources) {
      const resource = path.basename(constructPath);
      console.log(JSON.stringify({ check, where: `${stack}:${resource}${finding ? ` ${finding}` : ""}` }));
    }
  }
}
