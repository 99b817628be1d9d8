"""What the pipeline deploys into: cluster, service, roles, log group, listeners."""

from components.hosting.existing import ExistingHosting, ExistingHostingArgs
from components.hosting.facts import Hosting

__all__ = ["ExistingHosting", "ExistingHostingArgs", "Hosting"]
