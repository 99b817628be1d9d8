"""What a stand-in says to do as a service does, it says where the service is known to do so.

A stand-in that is kinder than AWS lets pass what fails there: links in the code were kept, "as CodeBuild does", which
nobody had seen, and an image without them passed.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "local").rglob("*.py"))
CLAIM = re.compile(
    r"\b(?:as|like|than) (?:AWS|Amazon \w+|Code(?:Build|Pipeline|Deploy|Connections)|CloudWatch|ECS|ECR|GitHub|IAM)\b"
    r"(?! (?:CLI|SDK))"
)
NAMED = re.compile(r"\bSources?(?: of [\w ]+)?: ")
SOURCE = re.compile(r"https://\S|[\w.-]+/[\w.-]+#\d+")


def passages(text: str) -> Iterator[tuple[int, str]]:
    """Each docstring, text and block of comments, with its line, written on one line."""
    block: list[str] = []
    start = end = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != end + 1:
                yield start, " ".join(block)
                block = []
            start, end = (start if block else token.start[0]), token.start[0]
            block.append(token.string.lstrip("# "))
        elif token.type == tokenize.STRING:
            yield token.start[0], " ".join(token.string.split())
    if block:
        yield start, " ".join(block)


def unfounded(text: str) -> list[tuple[int, str]]:
    """The claims in a file beside which no source stands, and the sources that nobody can open."""
    return [
        (line, claim[0])
        for line, passage in passages(text)
        for claim in [CLAIM.search(passage) or NAMED.search(passage)]
        if claim and not SOURCE.search(passage)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_claim_of_doing_as_a_service_does_has_its_source(path: Path) -> None:
    assert unfounded(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""Unpack an input as CodeBuild does."""', [(1, "as CodeBuild")]),
        ('x = 1\n\n\ndef f():\n    """Unpack, as\n    CodePipeline does.\n    """\n', [(5, "as CodePipeline")]),
        ("# as GitHub\n# answers\nx = 1\n", [(1, "as GitHub")]),
        ("# as GitHub\n# answers: https://docs.github.com\nx = 1\n", []),
        ("# as GitHub\nx = 1\n# https://docs.github.com\n", [(1, "as GitHub")]),
        ('"""Reports.\n\nSource: AWS CodeBuild user guide, reports.\n"""', [(1, "Source: ")]),
        ('"""Reports.\n\nSource: https://docs.aws.amazon.com.\n"""', []),
        ('"""As it is with Amazon ECR (aws/containers-roadmap#1)."""', []),
        ('"""Faster than the AWS CLI, as the AWS CLI goes."""', []),
    ],
)
def test_a_claim_without_a_source_is_found(text: str, found: list[tuple[int, str]]) -> None:
    assert unfounded(text) == found
