"""One text for one value: JSON with sorted keys, no spaces and no fractions (a part of RFC 8785, JCS).

What is signed is this text and nothing that is made of it, so a reader can't take it for anything else: a text that is
not exactly what its own value would be written as is refused, duplicate keys, spaces and escapes included.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


class NotCanonical(ValueError):
    """The text is no JSON, or not the one way to write its value."""


def encode(value: Any) -> bytes:
    """Of None, bool, int, str (ASCII), lists and dictionaries of these, by keys that are strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(text: bytes) -> Any:
    """The value. Raises NotCanonical."""
    try:
        value = json.loads(text.decode("ascii"), parse_float=_no_fraction, parse_constant=_no_fraction)
        again = encode(value)
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"no JSON: {type(error).__name__}") from None
    if again != text:
        raise NotCanonical("not the one way to write it")
    return value


def _no_fraction(text: str) -> NoReturn:
    raise NotCanonical(f"a number that is no integer: {text[:20]}")
