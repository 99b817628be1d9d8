"""What tasks run on and where: a launch type or capacity providers, and the network of the mode awsvpc."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.rehearsal.emulated import Json, Refused

_MOST_PROVIDERS = 20
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html"""
MUST_FORCE = (
    "When switching from launch type to capacity provider strategy on an existing service, or making a change to a "
    "capacity provider strategy on a service that is already using one, you must force a new deployment."
)
"""https://github.com/kayac/ecspresso/pull/481"""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the tasks of one revision of a service are put.

    Attributes:
        launch_type: EC2 or FARGATE; empty with capacity providers.
        strategy: The capacity providers, with all that can be said of each.
        network: The network configuration, as it was given.
        platform: The version of Fargate, where it was given.
    """

    launch_type: str = "EC2"
    strategy: tuple[tuple[str, int, int], ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict)
    platform: str = ""

    @property
    def view(self) -> Json:
        """As services, task sets and revisions answer."""
        items = [{"capacityProvider": name, "weight": weight, "base": base} for name, weight, base in self.strategy]
        runs_on: Json = {"capacityProviderStrategy": items} if items else {"launchType": self.launch_type}
        more = {"networkConfiguration": copy.deepcopy(dict(self.network)), "platformVersion": self.platform}
        return {**runs_on, **{key: value for key, value in more.items() if value}}

    @property
    def runs_on(self) -> Json:
        """As a task answers: the one capacity provider it is on; which of several is not made up here."""
        return {"capacityProviderName": self.strategy[0][0]} if self.strategy else {"launchType": self.launch_type}


@dataclass(slots=True)
class Places:
    """What can be named in a cluster.

    Attributes:
        providers: The capacity providers that the cluster has.
        subnets: The VPC of each subnet; ``None`` where nobody says which there are.
        groups: The VPC of each security group.
    """

    providers: Collection[str] = ()
    subnets: Mapping[str, str] | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    def placement(self, parameters: Json, before: Placement | None = None) -> Placement:
        """Return the placement that a request asks for.

        Args:
            parameters: Of CreateService, UpdateService or CreateTaskSet.
            before: What stays where nothing else is asked for.

        Raises:
            Refused: It is none.
        """
        before = before or Placement()
        given = parameters.get("capacityProviderStrategy", [])
        strategy = tuple((item["capacityProvider"], item.get("weight", 0), item.get("base", 0)) for item in given)
        if strategy and "launchType" in parameters:
            raise _refused("Specifying both a launch type and capacity provider strategy is not supported.")
        self._check(strategy)
        network = parameters.get("networkConfiguration", before.network)
        platform = parameters.get("platformVersion", before.platform)
        self._check_network(network.get("awsvpcConfiguration", {}))
        if strategy or "launchType" in parameters:
            return Placement(parameters.get("launchType", ""), strategy, network, platform)
        return Placement(before.launch_type, before.strategy, network, platform)

    def _check(self, strategy: tuple[tuple[str, int, int], ...]) -> None:
        """A strategy names providers of the cluster, one base and a weight.

        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
        """
        unknown = [name for name, _, _ in strategy if name not in self.providers]
        if unknown:
            raise _refused(f"The specified capacity provider '{unknown[0]}' is not associated with the cluster.")
        if len(strategy) > _MOST_PROVIDERS:
            raise _refused(f"A capacity provider strategy cannot contain more than {_MOST_PROVIDERS} providers.")
        if sum(base > 0 for _, _, base in strategy) > 1:
            raise _refused("Only one capacity provider in a capacity provider strategy can have a base defined.")
        if strategy and not any(weight for _, weight, _ in strategy):
            raise _refused("At least one capacity provider must have a weight value greater than zero.")

    def _check_network(self, network: Mapping[str, Any]) -> None:
        """Subnets and security groups are there, in one VPC."""
        if self.subnets is None:
            return
        networks = set[str]()
        for key, known, what, code in (
            ("subnets", self.subnets, "subnet", "InvalidSubnetID.NotFound"),
            ("securityGroups", self.groups, "security group", "InvalidGroup.NotFound"),
        ):
            for name in network.get(key, []):
                if name not in known:
                    raise _refused(f"Error retrieving {what} information for [{name}]: it does not exist ({code}).")
                networks.add(known[name])
        if len(networks) > 1:
            raise _refused(f"Security groups and subnets are in different VPCs: {', '.join(sorted(networks))}.")


def _refused(message: str) -> Refused:
    return Refused("InvalidParameterException", message)
