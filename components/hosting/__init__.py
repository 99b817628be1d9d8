"""What the pipeline deploys into: cluster, service, roles, log group, listeners; made here, or named."""

from __future__ import annotations

import pulumi

from components.engines.target import DeploymentTarget
from components.hosting.existing import ExistingHosting, ExistingHostingArgs
from components.hosting.new import NewHosting, NewHostingArgs


def hosting_of(name: str, args: NewHostingArgs, opts: pulumi.ResourceOptions | None = None) -> DeploymentTarget:
    """The hosting a stack file asks for.

    Args:
        name: Starts every Pulumi name.
        args: What it is made for; a service that exists needs a part of it.
        opts: Options of the component.
    """
    existing = args.settings.hosting.existing
    if existing is None:
        return NewHosting(name, args, opts).hosting
    named = ExistingHostingArgs(
        existing=existing,
        family=args.prefix,
        artifacts=args.artifacts,
        log_days=args.settings.retention.log_days,
        tags=args.tags,
    )
    return ExistingHosting(name, named, opts).hosting


__all__ = ["DeploymentTarget", "ExistingHosting", "ExistingHostingArgs", "NewHosting", "NewHostingArgs", "hosting_of"]
