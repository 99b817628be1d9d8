"""Divides a VPC's addresses between availability zones and kinds of subnets, as awsx's legacy layout does."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SMALLEST_PREFIX = {"Private": 19, "Public": 20, "Isolated": 24}
"""Prefix lengths of subnets whose size is not given; also the order they take addresses in."""
_MADE_FIRST = ("Public", "Private", "Isolated")
"""The order subnets are made in: a NAT gateway must be there before the route to it."""


@dataclass(frozen=True, slots=True)
class SubnetKind:
    """One kind of subnet, made once per availability zone.

    Attributes:
        type: `Public`, `Private` or `Isolated`.
        name: the word in its name; by default its type.
        prefix: its prefix length, if given.
        tags: tags of its own.
        blocks: its addresses zone by zone, if given.
    """

    type: str
    name: str = ""
    prefix: int | None = None
    tags: Mapping[str, str] | None = None
    blocks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet.

    Attributes:
        name: its logical name, for example `shop-private-1`.
        zone: index of its availability zone.
        block: its addresses, for example `10.0.0.0/19`.
        kind: what it is one of.
    """

    name: str
    zone: int
    block: str
    kind: SubnetKind


def lay_out(name: str, block: str, zones: int, kinds: Sequence[SubnetKind] | None) -> list[Subnet]:
    """Place subnets in a VPC.

    Args:
        name: the VPC's logical name.
        block: its addresses.
        zones: number of availability zones.
        kinds: what each zone gets; by default a private subnet and a public one half its size.

    Returns:
        zone by zone, in the order they are to be made.

    Raises:
        ValueError: they do not fit.
    """
    network = ipaddress.IPv4Network(block)
    if kinds and any(kind.blocks for kind in kinds):
        return _as_given(name, network, zones, kinds)
    zone_prefix = network.prefixlen + (zones - 1).bit_length()
    first = zone_prefix + (0 if kinds is not None and len(kinds) == 1 else 1)
    if kinds is None:
        kinds = (SubnetKind("Private", prefix=first), SubnetKind("Public", prefix=first + 1))
    placed = []
    for zone, part in zip(range(zones), network.subnets(new_prefix=zone_prefix), strict=False):
        address = int(part.network_address)
        for kind in sorted(kinds, key=lambda kind: list(_SMALLEST_PREFIX).index(kind.type)):
            prefix = kind.prefix or max(first, _SMALLEST_PREFIX[kind.type])
            size = 1 << (32 - prefix)
            address = -(-address // size) * size  # a block begins at a multiple of its size
            if address + size > int(part.broadcast_address) + 1:
                raise ValueError(
                    f"{block} has no room for a /{prefix} {kind.type.lower()} subnet in each of {zones} zones"
                )
            label = f"{name}-{kind.name or kind.type.lower()}-{zone + 1}"
            placed.append(Subnet(label, zone, f"{ipaddress.IPv4Address(address)}/{prefix}", kind))
            address += size
    return sorted(placed, key=lambda subnet: (subnet.zone, _MADE_FIRST.index(subnet.kind.type)))


def _as_given(name: str, network: ipaddress.IPv4Network, zones: int, kinds: Sequence[SubnetKind]) -> list[Subnet]:
    """Place subnets whose addresses are all given."""
    placed = []
    for kind in kinds:
        if len(kind.blocks) != zones:
            raise ValueError(
                f"cidrBlocks of the {kind.type} subnets must have one block for each of {zones} zones, "
                f"got {len(kind.blocks)}; give them for every kind of subnet or for none"
            )
        for zone, block in enumerate(kind.blocks):
            label = f"{name}-{kind.name or kind.type.lower()}-{zone + 1}"
            placed.append(Subnet(label, zone, block, kind))
    taken = [ipaddress.IPv4Network(subnet.block) for subnet in placed]
    for index, addresses in enumerate(taken):
        if not addresses.subnet_of(network) or any(addresses.overlaps(other) for other in taken[:index]):
            raise ValueError(f"{addresses} is outside {network}, or overlaps another subnet")
    return sorted(placed, key=lambda subnet: (subnet.zone, _MADE_FIRST.index(subnet.kind.type)))
