"""Every member of every enumeration, for Pythons to be compared: `python -m tests.pythons.enumerations`.

What becomes of a value in the body of an Enum has changed between Pythons without a word: in 3.11.2 the value of
`HOT = ()` is a bare object(), later it is the tuple.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Iterator

from tests.pythons.imports import import_all

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def lines() -> Iterator[str]:
    """`module.Enumeration.MEMBER = value`, in order. A member's truth counts: `bool(member)` may be its value's."""
    for name in import_all():
        for found in list(vars(sys.modules[name]).values()):
            if isinstance(found, enum.EnumMeta) and found.__module__ == name:
                for member, value in found.__members__.items():
                    told = ADDRESS.sub("", repr(value.value))
                    yield f"{name}.{found.__qualname__}.{member} = {told}, {bool(value)}, {value}"


if __name__ == "__main__":
    print(*lines(), sep="\n")
