"""What a key of the stack file may hold, read off the models: for messages, and for the tables in the docs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from components.settings.section import Constraint, Section, one_of

Kind = Literal["section", "list", "object", "choice", "switch", "number", "text", "mixed", "name"]

ANY_TEXT = "text"
"""The words of a value that may be any text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a key may hold.

    Attributes:
        kind: The sort of value; `mixed` is a number or a text, `name` a key that its user chooses.
        words: What it must be; finishes the sentence "must be ...".
        about: What the key is for, a sentence without its full stop.
        example: A value that would do.
        required: Whether it must be there.
        default: What it is when left out.
        section: The model of a nested object.
        item: What an entry of a list, or a value of an object, may be.
        key: What a key of an object may be.
        choices: The values of a choice.
        marks: What the type of a text says beside being one, for pydantic.
    """

    kind: Kind
    words: str
    about: str = ""
    example: Any = None
    required: bool = False
    default: Any = None
    section: type[Section] | None = None
    item: "Shape | None" = None
    key: "Shape | None" = None
    choices: tuple[Any, ...] = ()
    marks: tuple[Any, ...] = ()

    @property
    def keys(self) -> "Mapping[str, Shape]":
        """What the keys of a section may hold; none for anything else."""
        return _keys(self.section) if self.section else {}

    def allows(self, text: str) -> bool:
        """Whether a text would do."""
        try:
            TypeAdapter(Annotated[str, *self.marks]).validate_python(text)
        except ValidationError:
            return False
        return True

    def below(self, part: str | int) -> "Shape | None":
        """Return what stands at a key or a position of this value; None where nothing can."""
        return self.keys.get(str(part), self.item)


def shape_of(field: FieldInfo) -> Shape:
    """Return what a field may hold."""
    shape = _shape(field.annotation, field.metadata, (field.examples or [None])[0])
    about = str(field.description).rstrip(".")
    return replace(shape, about=about, required=field.is_required(), default=field.default)


@cache
def _keys(section: type[Section]) -> Mapping[str, Shape]:
    """Return what the fields of a section may hold, by the keys its user writes."""
    return {str(field.validation_alias): shape_of(field) for field in section.model_fields.values()}


def leaves(shape: Shape, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """Yield path and shape of every key below a section that is no section itself, in the order of the models."""
    for key, nested in shape.keys.items():
        if nested.section is None:
            yield (*above, key), nested
        else:
            yield from leaves(nested, (*above, key))


def _shape(annotation: Any, metadata: list[Any], example: Any) -> Shape:  # noqa: ANN401 - annotations have no type
    """Return what a value of this annotation may be."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], [*metadata, *arguments[1:]], example)
    if NoneType in arguments:
        return _shape(next(argument for argument in arguments if argument is not NoneType), metadata, example)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Shape(kind="section", words="an object (key: value lines)", section=annotation, example=example)
    if origin is tuple:
        item = _shape(arguments[0], [], next(iter(example or ()), None))
        return Shape(kind="list", words=_length(metadata), item=item, example=example)
    if origin is dict:
        name = replace(_shape(arguments[0], [], None), kind="name")
        item = _shape(arguments[1], [], next(iter(dict(example or {}).values()), None))
        return Shape(kind="object", words="an object (NAME: value lines)", key=name, item=item, example=example)
    return _plain(annotation, metadata, example)


def _plain(annotation: Any, metadata: list[Any], example: Any) -> Shape:  # noqa: ANN401 - annotations have no type
    """Return what a value of this annotation may be, which has nothing below it."""
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return Shape(kind="choice", words=one_of(choices), choices=choices, example=example)
    if annotation is bool:
        return Shape(kind="switch", words="true or false", example=example)
    if annotation is int:
        words = f"a whole number between {_limit(metadata, 'ge')} and {_limit(metadata, 'le')}"
        return Shape(kind="number", words=words, example=example)
    words = next((mark.words for mark in metadata if isinstance(mark, Constraint)), ANY_TEXT)
    kind: Kind = "text" if annotation is str else "mixed"
    return Shape(kind=kind, words=words, example=example, marks=tuple(metadata))


def _limit(metadata: list[Any], name: str) -> int:
    """Return a limit such as `ge` or `max_length` that some mark of an annotation sets, 0 when none does."""
    return next((int(getattr(mark, name)) for mark in metadata if getattr(mark, name, None) is not None), 0)


def _length(metadata: list[Any]) -> str:
    """Say how long a list may be."""
    shortest, longest = _limit(metadata, "min_length"), _limit(metadata, "max_length")
    if not longest:
        return "a list"
    return f"a list of {shortest} to {longest} entries" if shortest else f"a list of up to {longest} entries"
