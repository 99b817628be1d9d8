"""Every price and every time that an estimate is made with: ``constants.tsv``, each with its source and date."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("constants.tsv")
EVERYWHERE = "*"
REFERENCE = "us-east-1"
"""Whose price stands in for one that nobody has read for another region; the line of the estimate says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """One value with where it comes from.

    Attributes:
        name: What it is, such as ``nat.hour``.
        value: In its unit.
        unit: ``USD``, ``s``, ``GB``, ...
        region: Where it holds; ``*`` everywhere.
        kind: ``price``; of a time or a usage ``measured``, ``found`` (somebody published it) or ``assumption``; ``bar``
            for what is aimed at.
        source: The page, or the file of AWS's price list.
        read: The day on which the source was read.
        note: How, where it was not read from the source itself, and what it counts.
    """

    name: str
    value: float
    unit: str
    region: str
    kind: str
    source: str
    read: str
    note: str


@cache
def constants() -> Mapping[tuple[str, str], Constant]:
    """Return all constants by name and region."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        (row["constant"], row["region"]): Constant(
            name=row["constant"],
            value=float(row["value"]),
            unit=row["unit"],
            region=row["region"],
            kind=row["kind"],
            source=row["source"],
            read=row["read"],
            note=row["note"],
        )
        for row in rows
    }


def value(name: str) -> float:
    """Return a value that is the same in all regions.

    Raises:
        KeyError: There is none of this name.
    """
    return constants()[name, EVERYWHERE].value


@cache
def regions() -> frozenset[str]:
    """Return the regions of which prices have been read."""
    return frozenset(region for _, region in constants()) - {EVERYWHERE}


def price(name: str, region: str | None) -> Constant | None:
    """Return the price that holds in a region, the reference region's where none was read for this one.

    Args:
        name: The constant.
        region: The region; ``None`` when it is not known yet.

    Returns:
        ``None`` where no price of this name was read at all, or none of anything in the region.
    """
    known = constants()
    if region is not None and region not in regions():
        return known.get((name, EVERYWHERE))
    return known.get((name, region or REFERENCE)) or known.get((name, EVERYWHERE)) or known.get((name, REFERENCE))
