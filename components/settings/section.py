"""What every section of the stack file has in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

BROKEN_RULES = "broken_rules"
"""The pydantic error type that carries a section's own problems (`ctx["problems"]`)."""

Path = tuple[str | int, ...]
"""Keys and list positions as the stack file writes them: `("paths", "include", 0)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a stack file, in its user's words.

    Attributes:
        path: Where, starting at the section (at the model itself until the loader puts the section in front).
        message: What is wrong, what was given and what is allowed.
        fix: The command or the edit that puts it right.
    """

    path: Path
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a value has to be, in words that finish the sentence "must be ...".

    Stands in a type's `Annotated[...]`; error messages and the table of keys in `docs/configuration.md` quote it.
    """

    words: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Marks a type that names something kept elsewhere (a name, an ARN): `tokenSecret` holds no secret."""


def one_of(words: Sequence[object]) -> str:
    """Say a choice: `a`, `a or b`, `a, b or c`."""
    *others, last = map(str, words)
    return f"{', '.join(others)} or {last}" if others else last


class Section(BaseModel):
    """An object of the stack file: strict, frozen, unknown keys refused, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,  # for Python callers; the loader switches it off for stack files
        validate_by_alias=True,
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong between this section's own keys, each of which is right on its own."""
        yield from ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        """Refuse the section when `problems` finds any.

        Raises:
            PydanticCustomError: With every problem in its context.
        """
        if found := tuple(self.problems()):
            text = "; ".join(f"{problem.message} - {problem.fix}" for problem in found)
            raise PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "problems": found})
        return self
