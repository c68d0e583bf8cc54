"""A text cut into statements and labels, each of which knows its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from appliance.errors import InputRefused, SourceLine


class AssemblyError(InputRefused):
    """Text that is not a program. `where` is the SourceLine with line and column, both counted from 1."""

    where: SourceLine

    def __init__(self, what: str, *, where: SourceLine, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement or label, and where it stands."""

    text: str
    place: SourceLine

    def refuse(self, what: str, position: int = 0, hint: str | None = None) -> NoReturn:
        column = self.place.column + position
        raise AssemblyError(what, where=replace(self.place, column=column), hint=hint)


_COMMENT = re.compile(r"//|#")
_LISTING_NUMBER = re.compile(r"\s*\d+:")
LABEL = re.compile(r"([A-Za-z_.$][\w.$]*)\s*:")
_PIECE = re.compile(r"[^\s;:][^;:]*:?|:")


def statements(text: str, source: str) -> Iterator[Statement]:
    """Statements and labels (which end in a colon), without comments and listing numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(";"):
            continue
        code = _COMMENT.split(line, maxsplit=1)[0]
        start = listed.end() if (listed := _LISTING_NUMBER.match(code)) else 0
        for piece in _PIECE.finditer(code, start):
            yield Statement(piece.group().rstrip(), SourceLine(source, number, piece.start() + 1, line))
