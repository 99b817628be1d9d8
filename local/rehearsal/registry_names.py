"""What the stand-in for AWS answers under: the names of Amazon ECR on AWS, and a path of its own."""

from __future__ import annotations

import re

REGISTRY_HOST = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
LAYER_HOST = "prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com"
"""Where Amazon ECR keeps layers, as its users see it in redirects."""
USED_PATH = "/_rehearsal/permissions"
"""Where it says, as JSON, who was allowed what on which resource."""
SIGNER_HOSTS = ("signer.{region}.amazonaws.com", "data-signer.{region}.amazonaws.com")
"""The names of AWS Signer; the AWS CLI asks the second one about revocations, by the service's own description."""
