"""Tells a secret in clear from an ordinary setting, so that it is refused and never repeated in a message."""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

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
)
_ABOUT = {
    *("ARN", "NAME", "URL", "URI", "FILE", "PATH", "TTL", "LENGTH", "HEADER", "ISSUER", "ENDPOINT"),
    *("PREFIX", "SUFFIX", "REGION"),
}
_PUBLIC = re.compile(r"(NEXT_PUBLIC|NUXT_PUBLIC|VITE|REACT_APP|PUBLIC|GATSBY)_|.*PUBLISHABLE_")
"""Names by which browsers get a value: https://nextjs.org/docs/pages/guides/environment-variables and the like."""
_PLAIN = re.compile(r"|true|false|yes|no|on|off|[+-]?[0-9]+([.][0-9]+)?", re.IGNORECASE)
"""Values that keep nothing: none, switches and numbers."""
_VALUES = (
    re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),  # an AWS access key id
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\b(gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),  # a GitHub token
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@"),  # an address with a password in it
)


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name would hold a secret.

    `DB_PASSWORD` and `apiKey` do; `PASSWORD_FILE` (where it is kept) and `MAX_TOKENS` (another sort of token) do not.
    """
    words = [word.upper() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    pairs = [first + second for first, second in pairwise(words)]
    return any(word.endswith(_SMELLS) for word in [*words, *pairs])


def looks_like_a_secret(value: str) -> bool:
    """Whether a value is of a known kind of secret: key id, private key, GitHub token, address with a password."""
    return any(pattern.search(value) for pattern in _VALUES)


def secret_in_clear(name: str, value: str, not_secret: Collection[str] = ()) -> bool:
    """Whether a variable is a secret in clear: by its value, or by its name where that does not say otherwise.

    Args:
        name: The variable's name.
        value: Its value.
        not_secret: The names that the stack file declares to be no secrets; it cannot do so for a known kind of secret.
    """
    ordinary = name in not_secret or _PUBLIC.match(name) or _PLAIN.fullmatch(value)
    return looks_like_a_secret(value) or (names_a_secret(name) and not ordinary)


def appeal(name: str, value: str) -> str:
    """Return how a stack file says that a variable is no secret, to end a message with; nothing for a known kind."""
    return "" if looks_like_a_secret(value) else f", or write it like notSecret: [{name}] if everybody may see it"


def secret_itself(value: str, noun: str, *, section: str, key: str, example: str) -> Iterator[Problem]:
    """Yield a secret that stands where the name of its Secrets Manager secret belongs.

    Args:
        value: What the stack file gives.
        noun: What the secret is, for example `token`.
        section: The section that has the key, for example `release.github`.
        key: The key, as the stack file writes it.
        example: A name that would be right.
    """
    if looks_like_a_secret(value):
        yield Problem(
            path=(key,),
            message=f"is the {noun} itself (not shown); it must be the name of a Secrets Manager secret that holds it",
            fix=f"revoke this {noun}, store a new one in Secrets Manager, then pulumi config set --path "
            f"'ecs-delivery:{section}.{key}' {example}",
        )
