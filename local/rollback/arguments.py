"""What `python -m local rollback` takes."""

from __future__ import annotations

import argparse


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes, besides the stack."""
    command.add_argument(
        "--version", default="", metavar="VERSION", help="a version, commit or run; by default the one before"
    )
    command.add_argument("--yes", action="store_true", help="do not ask")
    part = command.add_mutually_exclusive_group()
    part.add_argument("--list", action="store_true", help="show what can be gone back to, and change nothing")
    part.add_argument("--resume", action="store_true", help="let newer versions in again")
    part.add_argument("--no-hold", action="store_true", help="let the next run deploy at once")
