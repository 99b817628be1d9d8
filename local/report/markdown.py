"""The comment on a pull request: one screen that tells what matters, and the rest of it folded.

GitHub takes 65,536 characters in a comment; a reviewer takes one screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from local.diagram import mermaid as flowchart
from local.report.findings import Finding, Section
from local.report.model import PLANNED, Report, StackReport, sums
from local.report.picture import SAME, drawn, mermaid
from local.report.text import tree

MARKER = "<!-- change report of the stacks -->"
"""The first line of the comment, by which the next one finds it."""
MOST_LINES, MOST_CHARACTERS = 25, 3_000
"""The first screen, all that is not folded."""
MOST = 20_000
"""Characters of the whole comment."""
_SENTENCE, _TITLE, _PICTURE = 330, 300, 900
_SECTION = {
    Section.LOSS: "🛑",
    Section.USERS: "👥",
    Section.PERMISSIONS: "🔑",
    Section.PIPELINE: "🔀",
    Section.NEXT_RUN: "📦",
    Section.JOBS: "⚙️",
    Section.FIGURES: "⏱️",
}
_Line = tuple[str, list[str], Finding]


def markdown(report: Report) -> str:
    """Return the comment."""
    if not any(stack.changes or stack.failed for stack in report.stacks):
        return f"{MARKER}\n{_title(report)}\n"
    screen = _first_screen(report)
    text = [*screen, ""]
    size = sum(len(line) + 1 for line in text)
    for block in _folded(report):
        room = MOST - size - _TITLE
        part = _cut_block(block, room)
        if not part:
            text.append("The rest does not fit into a comment: the page of the report has all of it.")
            break
        text += part
        size += sum(len(line) + 1 for line in part)
    return "\n".join(text).rstrip() + "\n"


def _first_screen(report: Report) -> list[str]:
    pictures = mermaid(
        {stack.stack: drawn(stack.preview) for stack in report.stacks if not stack.failed and not stack.preview.is_new}
    )
    picture = ["```mermaid", *pictures, "```", ""] if pictures and len("\n".join(pictures)) <= _PICTURE else []
    head = [MARKER, f"### {_title(report)}", "", *_asks(report), *picture]
    lines, several = _lines(report), len(report.stacks) > 1
    for most in range(8, 0, -1):
        screen = [*head, *_bullets(lines, most, several=several)]
        if len(screen) <= MOST_LINES and len("\n".join(screen)) <= MOST_CHARACTERS:
            return screen
    without = [line for line in head if line not in picture]
    return [*without, *_bullets(lines, 1, shorter=True, several=several)]


def _title(report: Report) -> str:
    parts = [
        f"{name}: the preview failed" if stack.failed else f"{name}: {_short_sums(stack)}"
        for stack in report.stacks
        for name in [_escaped(stack.stack)]
    ]
    if len({part.partition(": ")[2] for part in parts}) == 1 and not any(stack.failed for stack in report.stacks):
        names = " and ".join(_escaped(stack.stack) for stack in report.stacks[:4])
        parts = [f"{names}: {_short_sums(report.stacks[0])}"]
    return cut(" · ".join(parts), _TITLE)


def _short_sums(stack: StackReport) -> str:
    changing = [step for step in stack.preview.changes if step.op != "same"]
    if not stack.changes:
        return "no changes"
    return sums(changing, PLANNED) if changing else "protection changes"


def _asks(report: Report) -> list[str]:
    labels = report.labels
    if not labels:
        return []
    return [f"Look twice: {' '.join(f'`{label}`' for label in labels)}", ""]


def _lines(report: Report) -> list[_Line]:
    """What is said, the same of several stacks once."""
    found: dict[Finding, list[str]] = {}
    for stack in report.stacks:
        for finding in stack.findings:
            found.setdefault(finding, []).append(stack.stack)
    order = list(Section)
    several = sorted(found.items(), key=lambda pair: order.index(pair[0].section))
    return [("", stacks, finding) for finding, stacks in several] + [
        ("failed", [stack.stack], Finding(Section.LOSS, problem))
        for stack in report.stacks
        for problem in stack.preview.problems
    ]


def _bullets(lines: Sequence[_Line], most: int, *, shorter: bool = False, several: bool = True) -> list[str]:
    longest = _SENTENCE // 2 if shorter else _SENTENCE
    shown = []
    failures = [line for line in lines if line[0]]
    for _, stacks, finding in failures[:most]:
        shown.append(
            f"- ❌ **The preview of {_names(stacks)} failed:** {cut(_escaped(_first_line(finding.words)), longest)}"
        )
    if len(failures) > most:
        shown[-1] += f" (and {len(failures) - most} more problems, below)"
    for section, sign in _SECTION.items():
        of_it = [line for line in lines if line[2].section is section and not line[0]]
        for _, stacks, finding in of_it[:most]:
            of = f" ({_names(stacks)})" if several else ""
            shown.append(f"- {sign} **{section.value}**{of}: {cut(rendered(finding.words), longest)}")
        if len(of_it) > most:
            shown[-1] += f" (and {len(of_it) - most} more, below)"
    if not shown:
        shown.append("- Users notice nothing of it; no permission and no stage changes.")
    return shown


def _names(stacks: Sequence[str]) -> str:
    names = " and ".join(_escaped(name)[:30] for name in stacks[:3])
    return f"{names} and {len(stacks) - 3} more" if stacks[3:] else names


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


# What is folded.


def _folded(report: Report) -> Iterator[list[str]]:
    for stack in report.stacks:
        for problem in stack.preview.problems:
            if len(problem.splitlines()) > 1 or len(problem) > _SENTENCE:
                yield _details(f"{_escaped(stack.stack)}: why the preview failed", _block(problem.splitlines()))
    on_screen = "\n".join(_first_screen(report))
    lines = [line for line in _lines(report) if not line[0]]
    for section in Section:
        of_it = [line for line in lines if line[2].section is section]
        # What stands above already is not said again.
        if any(finding.details or rendered(finding.words) not in on_screen for _, _, finding in of_it):
            yield _details(f"{section.value} ({len(of_it)})", list(_rows(of_it, several=len(report.stacks) > 1)))
    yield from _pictures(report)
    for stack in report.stacks:
        if stack.changes:
            yield _details(f"{_escaped(stack.stack)}: what changes", _block(tree(stack.preview.steps)))


def _rows(lines: Sequence[_Line], *, several: bool) -> Iterator[str]:
    for _, stacks, finding in lines:
        yield f"- {f'({_names(stacks)}) ' if several else ''}{rendered(finding.words)}"
        yield from (f"  - {rendered(detail)}" for detail in finding.details)


def _pictures(report: Report) -> Iterator[list[str]]:
    for stack in report.stacks:
        changed = any(box.state != SAME for box in drawn(stack.preview))
        if changed and not stack.preview.is_new:
            lines = flowchart(stack.preview.before, stack.preview.after).splitlines()
            yield _details(f"{_escaped(stack.stack)}: the pipeline", ["```mermaid", *lines, "```"])


def _details(summary: str, rows: Sequence[str]) -> list[str]:
    return ["<details>", f"<summary>{summary}</summary>", "", *rows, "", "</details>", ""]


def _block(lines: Sequence[str]) -> list[str]:
    """Lines as they are, whatever is in them."""
    fence = "`" * max([3, *(len(run) + 1 for line in lines for run in re.findall("`+", line))])
    return [f"{fence}text", *lines, fence]


def _cut_block(block: Sequence[str], room: int) -> list[str]:
    """The block, or as many of its lines as there is room for; nothing where there is none for its frame."""
    if sum(len(line) + 1 for line in block) <= room:
        return list(block)
    head, body, tail = list(block[:3]), list(block[3:-3]), list(block[-3:])
    is_code = body[-1:] != [] and body[0].startswith("```")
    tail = [body.pop(), *tail] if is_code else tail
    left = room - sum(len(line) + 1 for line in [*head, *tail]) - 80
    kept: list[str] = []
    for line in body:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    if len(kept) < 2:
        return []
    more = f"… and {len(body) - len(kept)} lines more: the page of the report has all of them."
    return [*head, *kept, more, *tail]


# Words.


def rendered(words: str) -> str:
    """Return a sentence in Markdown: what stands between backticks stays as it is, all else says nothing but itself."""
    # Code that is not closed is none.
    parts = words.split("`") if words.count("`") % 2 == 0 else [words]
    return "`".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    plain = re.sub(r"\s+", " ", text).replace("`", "'").replace("&", "&amp;")
    plain = plain.replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return re.sub(r"([\\*\[\]|~#])", r"\\\1", plain)


def cut(text: str, longest: int) -> str:
    """Return a text that is no longer than that, with no code left open."""
    if len(text) <= longest:
        return text
    short = text[: longest - 2]
    if short.count("`") % 2:
        # In the middle of a name: as much of it as there is room for.
        return f"{short}…`" if len(short) - short.rfind("`") > 2 else f"{short[: short.rfind('`')]}…"
    return f"{re.sub(r'&[a-z#0-9]*$', '', short)}…"
