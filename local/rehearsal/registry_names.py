"""The names that Amazon ECR goes by on AWS, and here, too."""

from __future__ import annotations

import re

REGISTRY_HOST = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
LAYER_HOST = "prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com"
"""Where Amazon ECR keeps layers, as its users see it in redirects."""
