"""Seconds and dollars before and after, as ``local/estimates`` works them out from the two graphs."""

from __future__ import annotations

from collections.abc import Iterator

from local.estimates import estimate
from local.estimates.words import short
from local.report.findings import Finding, Section
from local.report.preview import Preview

_MODELLED = "Modelled from published figures, not measured."


def figures(preview: Preview) -> Iterator[Finding]:
    """Yield what a run takes and what the stack costs, before and after, where either changes."""
    if preview.is_new or not preview.changes:
        return
    _, *lines = short(estimate(preview.after), estimate(preview.before))
    told = [line.strip().replace("->", "→") for line in lines]
    # The figures stand before what they are made of, and those that change hold an arrow.
    changed = [line for line in told if "→" in line]
    if changed:
        words = "; ".join(changed)
        yield Finding(Section.FIGURES, f"{words[0].upper()}{words[1:]}. {_MODELLED}", tuple(told))
