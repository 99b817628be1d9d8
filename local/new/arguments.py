"""The command line of `python -m local new`."""

from __future__ import annotations

import argparse
from pathlib import Path

QUESTIONS = {
    "repository": "Its repository on GitHub (owner/name)",
    "branch": "The branch whose commits are delivered",
    "port": "The port that its program listens on",
    "health_path": "The path that answers 200 when it is healthy",
    "certificate": "ARN of a certificate in Certificate Manager, or none for plain HTTP",
}
"""What is asked, by the flag that answers it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Write the stack files of a repository. What no flag says is asked in a terminal. Port and health check are "
        "read from the Dockerfile of --app; repository and branch from its git checkout."
    )
    for name, question in QUESTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=question)
    parser.add_argument("--app", type=Path, metavar="FOLDER", help="a checkout of the application")
    parser.add_argument("--name", help="what names everything (default: from the repository's name)")
    parser.add_argument("--region", help="default: the certificate's, or eu-west-1")
    parser.add_argument(
        "--environments", default="dev,prod", metavar="LIST", help="in the order of delivery (default: dev,prod)"
    )
    parser.add_argument(
        "--several", action="store_true", help="put the application's name in front of the stacks': shop-dev, blog-dev"
    )
    parser.add_argument("--force", action="store_true", help="overwrite stack files that are there")
