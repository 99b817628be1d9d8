"""What the pipeline deploys into: cluster, service, roles, log group, listeners; made here, or named."""

from __future__ import annotations

import pulumi

from components.hosting.existing import ExistingHosting, ExistingHostingArgs
from components.hosting.facts import Hosting
from components.hosting.made import MadeHosting, MadeHostingArgs


def hosting_of(name: str, args: MadeHostingArgs, opts: pulumi.ResourceOptions | None = None) -> Hosting:
    """The hosting a stack file asks for.

    Args:
        name: Starts every Pulumi name.
        args: What it is made for; a service that exists needs a part of it.
        opts: Options of the component.
    """
    existing = args.settings.hosting.existing
    if existing is None:
        return MadeHosting(name, args, opts).hosting
    named = ExistingHostingArgs(
        existing=existing,
        family=args.prefix,
        artifacts=args.artifacts,
        log_days=args.settings.retention.log_days,
        tags=args.tags,
    )
    return ExistingHosting(name, named, opts).hosting


__all__ = ["ExistingHosting", "ExistingHostingArgs", "Hosting", "MadeHosting", "MadeHostingArgs", "hosting_of"]
