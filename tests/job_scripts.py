"""What the scripts of a job do, read off their text."""

from __future__ import annotations

import ast

from components.jobs.buildspec import load_buildspec


def calls(job: str, function: str) -> list[ast.Call]:
    """The calls of this function of a module in all scripts of a job."""
    nodes = [node for text in load_buildspec(job).modules.values() for node in ast.walk(ast.parse(text))]
    return [
        node
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function
    ]


def files(job: str, function: str) -> set[str]:
    """The texts that a job gives to this function as first argument."""
    first = [call.args[0] for call in calls(job, function)]
    return {str(argument.value) for argument in first if isinstance(argument, ast.Constant)}
