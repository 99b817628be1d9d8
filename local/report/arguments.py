"""The command line of `python -m local report`."""

from __future__ import annotations

import argparse
from pathlib import Path

OPTIONS = "--json --show-sames --non-interactive"
"""What ``pulumi preview`` has to be given: without ``--show-sames`` what stays as it is would be missing."""
_ABOUT = f"""\
Tell what a preview means for those who have to agree to it: what cannot be undone, what users notice, who may do more,
what becomes of the pipeline, what the next run ships, what it takes and costs.

STACK alone is previewed on this machine, with a local provider. STACK=FILE is read from the output of
  pulumi preview --stack STACK {OPTIONS} > FILE
A file that is missing, or that a failed preview has left, is reported as that.

It ends with 3 where somebody may do more than before or something is lost (labels pipeline/broadens and
pipeline/destroys), with 1 where a preview failed, and with 0 otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.add_argument("stacks", nargs="+", metavar="STACK[=FILE]", help="a stack, and the file of its preview")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the comment on a pull request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the labels and all findings as JSON")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write one HTML file that needs no network")
