"""Divides the addresses of a VPC between its subnets, so that another zone never moves the ones there are.

Pure.
"""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

PARTS: Final = 8
"""Equal parts of a VPC's addresses: up to three private and three public subnets, and two parts to spare."""


class Blocks(NamedTuple):
    """Addresses of the subnets, one of each kind a zone.

    Attributes:
        private: For example ``10.0.0.0/19`` and so on.
        public: The same for public subnets.
    """

    private: list[str]
    public: list[str]


def subnet_blocks(cidr_block: str, zones: int) -> Blocks:
    """The addresses of each zone's subnets.

    Args:
        cidr_block: The VPC's addresses, for example ``10.0.0.0/16``.
        zones: Number of availability zones, up to three.
    """
    parts = [str(part) for part in ipaddress.IPv4Network(cidr_block).subnets(prefixlen_diff=PARTS.bit_length() - 1)]
    half = PARTS // 2
    return Blocks(private=parts[:zones], public=parts[half : half + zones])
