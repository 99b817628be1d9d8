"""What the scripts of a job do, read off their text."""

from __future__ import annotations

import ast

from components.jobs.buildspec import load_buildspec


def _nodes(job: str) -> list[ast.AST]:
    """What all scripts of a job consist of."""
    return [node for text in load_buildspec(job).modules.values() for node in ast.walk(ast.parse(text))]


def calls(job: str, function: str) -> list[ast.Call]:
    """The calls of this function of a module in all scripts of a job."""
    return [
        node
        for node in _nodes(job)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function
    ]


def files(job: str, function: str) -> set[str]:
    """The texts that a job gives to this function as first argument."""
    first = [call.args[0] for call in calls(job, function)]
    return {str(argument.value) for argument in first if isinstance(argument, ast.Constant)}


def texts(job: str) -> set[str]:
    """Every text in the scripts of a job."""
    return {node.value for node in _nodes(job) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
