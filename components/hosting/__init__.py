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
    if args.hosting.existing is None:
        return NewHosting(name, args, opts).hosting
    named = ExistingHostingArgs(foundation=args.foundation, existing=args.hosting.existing)
    return ExistingHosting(name, named, opts).hosting


__all__ = ["DeploymentTarget", "ExistingHosting", "ExistingHostingArgs", "NewHosting", "NewHostingArgs", "hosting_of"]
