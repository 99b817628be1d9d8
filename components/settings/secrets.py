"""Tells a secret in clear from an ordinary setting, so that it is refused and never repeated in a message."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from components.settings.section import Path as KeyPath
from components.settings.section import Problem

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SMELLS = (
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PRIVATEKEY",
    "APIKEY",
    "ACCESSKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "SIGNINGKEY",
    "ENCRYPTIONKEY",
    "SESSIONKEY",
)
"""Ends of words, and of pairs of words, by which a name speaks of a secret."""
_SMELLS_ALONE = {"JWT"}
_SMELLS_AT_THE_END = {"PASS", "PWD"}
"""Words that do so after another one: `PWD` alone is a folder, and `pass` a verb."""
_ABOUT = {
    *("ARN", "NAME", "URL", "URI", "FILE", "PATH", "TTL", "LENGTH", "HEADER", "ISSUER", "ENDPOINT"),
    *("PREFIX", "SUFFIX", "REGION"),
}
_PUBLIC = re.compile(r"(NEXT_PUBLIC|NUXT_PUBLIC|VITE|REACT_APP|PUBLIC|GATSBY)_|.*PUBLISHABLE_")
"""Names by which browsers get a value: https://nextjs.org/docs/pages/guides/environment-variables and the like."""
_PLAIN = re.compile(r"|true|false|yes|no|on|off|[+-]?[0-9]+([.][0-9]+)?", re.IGNORECASE)
"""Values that keep nothing: none, switches and numbers."""
_NEVER_PUBLIC = (
    re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),  # an AWS access key id
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----"),
    re.compile(r"\b(gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),  # a GitHub token
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?!\$)[^\s/@]+@"),  # an address with a password in it
    re.compile(r"\b(Bearer|Basic) (?=[^\s]*[0-9])[A-Za-z0-9+/._~-]{16,}"),  # the value of a header `Authorization`
)
"""Values that nobody may see, whatever a stack file says of them."""
_PUBLISHED = Path(__file__).with_name("secret_patterns.json")
"""The rules of gitleaks that go by the value; the file names their version and licence."""
_ASSIGNED = re.compile(r"(?:^|[\s?&;,\"'])-{0,2}([A-Za-z_][A-Za-z0-9_.-]*)=([^\s&;,\"']+)")
"""A name and its value within a command, an address or an option: `--password=hunter2`, `/healthz?token=hunter2`."""
_REFERENCE = re.compile(r"\$|<|\{|arn:|/")
"""How a value begins that only says where a secret is."""


class _Rule(NamedTuple):
    """A published rule: signs without which it need not be tried, and how mixed what it finds has to be."""

    keywords: tuple[str, ...]
    pattern: str
    entropy: float


@cache
def _published() -> tuple[_Rule, ...]:
    rules = json.loads(_PUBLISHED.read_text(encoding="utf-8"))["rules"].values()
    return tuple(_Rule(tuple(rule["keywords"]), rule["pattern"], rule.get("entropy", 0)) for rule in rules)


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name would hold a secret.

    `DB_PASSWORD` and `apiKey` do; `PASSWORD_FILE` (where it is kept) and `MAX_TOKENS` (another sort of token) do not.
    """
    words = [word.upper() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    pairs = [first + second for first, second in pairwise(words)]
    return (
        any(word.endswith(_SMELLS) for word in [*words, *pairs])
        or not _SMELLS_ALONE.isdisjoint(words)
        or (len(words) > 1 and words[-1] in _SMELLS_AT_THE_END)
    )


def never_public(value: str) -> bool:
    """Whether a value is a key id, a private key, a GitHub token or an address with a password in it."""
    return any(pattern.search(value) for pattern in _NEVER_PUBLIC)


def looks_like_a_secret(value: str) -> bool:
    """Whether a value is of a known kind of secret, by a rule of gitleaks or because nobody may ever see it."""
    return bool(value) and (never_public(value) or bool(_found(value)))


def redacted(text: str) -> str:
    """Return a text without what looks like a secret in it."""
    for pattern in _NEVER_PUBLIC:
        text = pattern.sub("(not shown)", text)
    # Rules may demand white space, a quotation mark or the end after a secret: a sentence has a comma there.
    words = {text, *re.split(r"[\s,;:()\"'`]+", text), *re.split(r"[\s\"'`]+", text)}
    for secret in sorted({found for word in words for found in _found(word)}, key=len, reverse=True):
        text = text.replace(secret, "(not shown)")
    return text


@lru_cache(maxsize=4096)  # the words of a file and of its messages are the same ones again and again
def _found(value: str) -> tuple[str, ...]:
    """Return what the published rules find."""
    lower, found = value.lower(), list[str]()
    for rule in _published():
        if any(keyword in lower for keyword in rule.keywords):
            for match in re.finditer(rule.pattern, value):
                secret = next(iter(match.groups()), None) or match[0]
                if _entropy(secret) >= rule.entropy:
                    found.append(secret)
    return tuple(found)


def _entropy(text: str) -> float:
    """Return Shannon's entropy in bits for each character, by which gitleaks tells a key from a word."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def secret_in_clear(name: str, value: str, not_secret: Collection[str] = ()) -> bool:
    """Whether a variable is a secret in clear: by its value, or by its name where that does not say otherwise.

    Args:
        name: The variable's name.
        value: Its value.
        not_secret: The names that the stack file declares to be no secrets; it cannot do so for what nobody may see.
    """
    if name in not_secret or _PUBLIC.match(name):
        return never_public(value)
    return looks_like_a_secret(value) or (names_a_secret(name) and not _PLAIN.fullmatch(value))


def appeal(name: str, value: str) -> str:
    """Return how a stack file says that a variable is no secret, to end a message with; nothing where it cannot."""
    return "" if never_public(value) else f", or write it like notSecret: [{name}] if everybody may see it"


def secret_itself(value: str, noun: str, *path: str) -> Iterator[Problem]:
    """Yield a secret that stands where the name of its Secrets Manager secret belongs.

    Args:
        value: What the stack file gives.
        noun: What the secret is, for example `token`.
        path: The key, below its section.
    """
    if looks_like_a_secret(value):
        yield Problem(
            path=path,
            message=f"is the {noun} itself (not shown); it must be the name of a Secrets Manager secret that holds it",
            fix=f"revoke this {noun}, store a new one in Secrets Manager, then edit the file: write {path[-1]}: "
            "<name of that secret>",
        )


def secrets_in(path: KeyPath, value: object, not_secret: Collection[str]) -> Iterator[Problem]:
    """Yield every text of a stack file that is a secret in clear or has one in it, and every key that is one.

    Args:
        path: Where the value stands.
        value: Whatever stands there.
        not_secret: The names of variables, options and keys that the stack file declares to be no secrets.
    """
    if isinstance(value, Mapping):
        for key, below in value.items():
            if looks_like_a_secret(str(key)):
                yield _in_clear((*path, "(a key that is not shown)"))
            else:
                yield from secrets_in((*path, str(key)), below, not_secret)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            option = value[at - 1] if at else None
            if _is_given_to_an_option(option, item, not_secret):
                yield _in_clear((*path, at), str(option).lstrip("-"))
            else:
                yield from secrets_in((*path, at), item, not_secret)
    elif isinstance(value, str):
        yield from _in_text(path, value, not_secret)


def _in_text(path: KeyPath, value: str, not_secret: Collection[str]) -> Iterator[Problem]:
    """Yield the secret in clear that a text is, or has in it."""
    if never_public(value):
        yield _in_clear(path)
    elif {str(part) for part in path}.isdisjoint(not_secret):
        if looks_like_a_secret(value):
            yield _in_clear(path, str(next(part for part in reversed(path) if isinstance(part, str))))
        elif names := [name for name, text in _ASSIGNED.findall(value) if _is_in_clear(name, text, not_secret)]:
            yield _in_clear(path, names[0])


def _is_given_to_an_option(option: object, value: object, not_secret: Collection[str]) -> bool:
    """Whether two arguments of a command are an option and a secret in clear: `--token hunter2`."""
    if not (isinstance(option, str) and isinstance(value, str)) or not option.startswith("-") or "=" in option:
        return False
    return not value.startswith("-") and _is_in_clear(option.lstrip("-"), value, not_secret)


def _is_in_clear(name: str, value: str, not_secret: Collection[str]) -> bool:
    return not _REFERENCE.match(value) and secret_in_clear(name, value, not_secret)


def _in_clear(path: KeyPath, name: str = "") -> Problem:
    """Return the problem of a secret that stands where everybody can read it."""
    way_out = f"; if everybody may see it, add {name} to application.notSecret" if name else ""
    return Problem(
        path=path,
        message="has a secret in clear in it (not shown), which everybody who reads this stack can see",
        fix="edit the file: remove it, revoke it, and store a new one in Secrets Manager, which application.secrets "
        f"gives to the container{way_out}",
    )
