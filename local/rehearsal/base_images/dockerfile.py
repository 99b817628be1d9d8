"""The images that the build of a Dockerfile fetches.

They are in ``FROM``, ``COPY --from``, ``RUN --mount=from=`` and ``# syntax=``; those of stages that the target does not
need are not fetched. What BuildKit itself refuses is passed over: it says so when it builds.

Source: https://docs.docker.com/reference/dockerfile/, and BuildKit's parser, ``frontend/dockerfile/parser`` in
https://github.com/moby/buildkit.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from local.rehearsal.base_images.names import ImageName

_DIRECTIVE = re.compile(r"(?:#|//)\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"""(?<![<\w])\d*<<(-?)(["']?)([A-Za-z_][\w.]*)\2(?=\s|$)""")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<kind>[-+?])(?P<word>(?:[^{}]|\$\{[^{}]*\})*))?\})")
_WITH_HEREDOC = {"RUN", "COPY", "ADD"}


@dataclass(frozen=True, order=True, slots=True)
class Mention:
    """An image, and where a build needs it.

    Attributes:
        name: The image.
        where: File and line.
    """

    name: ImageName
    where: str


@dataclass(frozen=True, slots=True)
class _Instruction:
    line: int
    keyword: str
    flags: tuple[tuple[str, str], ...]
    rest: str


@dataclass(slots=True)
class _Stage:
    name: str
    base: str
    line: int
    copied: list[tuple[str, int]] = field(default_factory=list)


def fetched_images(
    text: str, *, file: str = "Dockerfile", target: str = "", arguments: Mapping[str, str] | None = None, platform: str
) -> list[Mention]:
    """Return the images that a build fetches, each once, in the order of the file.

    Args:
        text: The Dockerfile.
        file: How it is called in messages.
        target: The stage that is built; the last one if empty.
        arguments: The build arguments.
        platform: What is built for, and where: ``linux/amd64`` or ``linux/arm64``.
    """
    given = dict(arguments or {})
    directives = _directives(text)
    stages = list(_stages(_instructions(text, directives.get("escape", "\\")), given, platform))
    wanted = [(given.get("BUILDKIT_SYNTAX") or directives.get("syntax", ""), 1)]
    for number in sorted(_reached(stages, target)):
        stage = stages[number]
        for name, line in ((stage.base, stage.line), *stage.copied):
            if _stage_of(name, stages[:number]) is None and name != "scratch" and not name.isdigit():
                wanted.append((name, line))
    found: dict[ImageName, Mention] = {}
    for text_of_name, line in wanted:
        name_of_image = ImageName.parse(text_of_name)
        if name_of_image is not None:
            found.setdefault(name_of_image, Mention(name_of_image, f"{file}:{line}"))
    return list(found.values())


def _directives(text: str) -> dict[str, str]:
    """The directives, which stand before everything else."""
    found: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#!") and not found:
            continue
        directive = _DIRECTIVE.fullmatch(line)
        if directive is None or directive[1].lower() not in {"syntax", "escape", "check"}:
            break
        # Options may follow the frontend's name.
        found.setdefault(directive[1].lower(), directive[2].split()[0])
    return found


def _instructions(text: str, escape: str) -> Iterator[_Instruction]:
    """Each instruction on one line, without comments and without the text of its heredocs."""
    lines = iter(enumerate(text.removeprefix("\ufeff").splitlines(), 1))
    for number, whole in _joined(lines, escape):
        keyword, _, rest = re.sub(r"\s", " ", whole.strip()).partition(" ")
        rest, flags = rest.strip(), []
        while flag := _FLAG.match(rest):
            flags.append((flag[1], flag[2] or ""))
            rest = rest[flag.end() :]
        if keyword.upper() in _WITH_HEREDOC:
            for heredoc in _HEREDOC.finditer(rest):
                # Read up to the line that ends it; they follow each other.
                any((inner.lstrip("\t") if heredoc[1] else inner) == heredoc[3] for _, inner in lines)
        yield _Instruction(number, keyword.upper(), tuple(flags), rest)


def _joined(lines: Iterator[tuple[int, str]], escape: str) -> Iterator[tuple[int, str]]:
    """Each instruction with what it is continued by; comments and empty lines between do not end it."""
    continued = re.compile(rf"(?:^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    start, whole = 0, ""
    for number, line in lines:
        if line.lstrip().startswith("#") or not line.strip():
            continue
        start = start or number
        if continued.search(line):
            whole += line.rstrip()[: -len(escape)]
            continue
        yield start, whole + line
        start, whole = 0, ""
    if whole:
        yield start, whole


def _stages(instructions: Iterable[_Instruction], given: Mapping[str, str], platform: str) -> Iterator[_Stage]:
    system, _, processor = platform.partition("/")
    known = {
        f"{side}{what}": value
        for side in ("BUILD", "TARGET")
        for what, value in (("PLATFORM", platform), ("OS", system), ("ARCH", processor), ("VARIANT", ""))
    }
    stage: _Stage | None = None
    for instruction in instructions:
        if instruction.keyword == "ARG" and stage is None:
            known |= _arguments(instruction.rest, known, given)
        elif instruction.keyword == "FROM":
            if stage:
                yield stage
            words = instruction.rest.split()
            name = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""
            stage = _Stage(name, _expanded(words[0] if words else "", known), instruction.line)
        elif stage and instruction.keyword == "COPY":
            stage.copied += [(value, instruction.line) for flag, value in instruction.flags if flag == "from"]
        elif stage and instruction.keyword == "RUN":
            mounts = (value.split(",") for flag, value in instruction.flags if flag == "mount")
            options = (option.partition("=") for mount in mounts for option in mount)
            stage.copied += [(value, instruction.line) for key, _, value in options if key == "from"]
    if stage:
        yield stage


def _arguments(text: str, known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What an ``ARG`` before the first stage sets."""
    try:
        words = shlex.split(text, posix=False)
    except ValueError:
        words = text.split()
    found: dict[str, str] = {}
    for word in words:
        name, assigned, value = word.partition("=")
        if name in given:
            found[name] = given[name]
        elif assigned:
            found[name] = _expanded(value, {**known, **found})
    return found


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """The text with its variables filled in, and without quotes; what cannot be filled in stays, and is no name."""

    def value(match: re.Match[str]) -> str:
        name, kind = match["plain"] or match["name"], match["kind"]
        there = known.get(name)
        counts = bool(there) if match[0].startswith(f"${{{name}:") else there is not None
        if kind == "-" and not counts:
            return _expanded(match["word"], known)
        if kind == "+":
            return _expanded(match["word"], known) if counts else ""
        return there or ""

    return _VARIABLE.sub(value, re.sub(r"[\"']", "", text))


def _stage_of(name: str, stages: list[_Stage]) -> int | None:
    """The number of an earlier stage of this name or number."""
    if name.isdigit():
        return int(name) if int(name) < len(stages) else None
    numbers = [number for number, stage in enumerate(stages) if stage.name and stage.name == name.lower()]
    return numbers[-1] if numbers else None


def _reached(stages: list[_Stage], target: str) -> set[int]:
    """The stages that are built for the target; all, when there is no such target."""
    first = _stage_of(target, stages) if target else len(stages) - 1
    if first is None:
        return set(range(len(stages)))
    reached: set[int] = set()
    waiting = [first] if stages else []
    while waiting:
        number = waiting.pop()
        reached.add(number)
        for name in (stages[number].base, *(name for name, _ in stages[number].copied)):
            earlier = _stage_of(name, stages[:number])
            if earlier is not None and earlier not in reached:
                waiting.append(earlier)
    return reached
