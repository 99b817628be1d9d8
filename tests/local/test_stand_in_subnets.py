"""The addresses of a VPC are divided as awsx divides them."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from local.engine.standins.subnets import Subnet, SubnetKind, lay_out


def blocks(subnets: list[Subnet]) -> dict[str, str]:
    return {subnet.name: subnet.block for subnet in subnets}


def test_the_default_layout_is_a_private_and_a_smaller_public_subnet_per_zone() -> None:
    """Known from real deployments of awsx: /19 and /20 in a /16 with three zones."""
    assert blocks(lay_out("net", "10.0.0.0/16", 3, None)) == {
        "net-public-1": "10.0.32.0/20",
        "net-private-1": "10.0.0.0/19",
        "net-public-2": "10.0.96.0/20",
        "net-private-2": "10.0.64.0/19",
        "net-public-3": "10.0.160.0/20",
        "net-private-3": "10.0.128.0/19",
    }


def test_a_public_subnet_is_made_before_the_private_one_that_routes_through_it() -> None:
    assert [subnet.kind.type for subnet in lay_out("net", "10.0.0.0/16", 1, None)] == ["Public", "Private"]


def test_kinds_asked_for_get_the_sizes_and_names_asked_for() -> None:
    kinds = [SubnetKind("Isolated", "database", 26), SubnetKind("Public"), SubnetKind("Private", prefix=20)]
    assert blocks(lay_out("net", "10.0.0.0/16", 2, kinds)) == {
        "net-public-1": "10.0.16.0/20",
        "net-private-1": "10.0.0.0/20",
        "net-database-1": "10.0.32.0/26",
        "net-public-2": "10.0.144.0/20",
        "net-private-2": "10.0.128.0/20",
        "net-database-2": "10.0.160.0/26",
    }


def test_a_single_kind_may_take_a_whole_small_network() -> None:
    assert blocks(lay_out("net", "10.0.0.0/26", 1, [SubnetKind("Public")])) == {"net-public-1": "10.0.0.0/26"}


def test_a_larger_subnet_behind_a_smaller_one_begins_where_its_size_allows() -> None:
    kinds = [SubnetKind("Private", prefix=22), SubnetKind("Public", prefix=20)]
    assert blocks(lay_out("net", "10.0.0.0/16", 1, kinds)) == {
        "net-private-1": "10.0.0.0/22",
        "net-public-1": "10.0.16.0/20",
    }


@pytest.mark.parametrize("zones", [1, 2, 3, 4, 5])
def test_no_two_subnets_share_an_address(zones: int) -> None:
    kinds = [SubnetKind("Isolated"), SubnetKind("Private"), SubnetKind("Public", prefix=22)]
    networks = [ipaddress.IPv4Network(subnet.block) for subnet in lay_out("net", "10.0.0.0/16", zones, kinds)]
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))
    assert all(network.subnet_of(ipaddress.IPv4Network("10.0.0.0/16")) for network in networks)


def test_what_does_not_fit_is_refused() -> None:
    kinds = [SubnetKind("Private", prefix=17), SubnetKind("Public", prefix=17), SubnetKind("Isolated")]
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/16 has no room for a /24 isolated subnet in each of 1 zones"):
        lay_out("net", "10.0.0.0/16", 1, kinds)
