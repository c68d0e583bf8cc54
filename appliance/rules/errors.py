"""How a document's defects are told: each with its place and a hint, and all of them at once.

InputRefused                one defect, or
  RuleSetRefused            several of them: `defects`, printed one after the other
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from appliance.errors import InputRefused, SourceLine


class RuleSetRefused(InputRefused):
    """A document can't be accepted. `defects` are all that was found, in the order of their places."""

    def __init__(self, defects: Sequence[InputRefused]) -> None:
        self.defects = tuple(sorted(defects, key=_place))
        first = self.defects[0]
        super().__init__(first.what, where=first.where, hint=first.hint)

    def __str__(self) -> str:
        return "\n".join(str(defect) for defect in self.defects)


def _place(defect: InputRefused) -> tuple[str, int, int]:
    where = defect.where
    return (where.file, where.line, where.column) if isinstance(where, SourceLine) else (str(where or ""), 0, 0)


def near(word: object, known: Iterable[str]) -> str | None:
    """The word of `known` that is most like this one, if any is."""
    return next(iter(difflib.get_close_matches(str(word), sorted(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is none of `known`: the nearest one, or all of them when none is near."""
    words = sorted(known)
    nearest = near(word, words)
    if nearest:
        return f"did you mean {nearest!r}?"
    return f"known are: {', '.join(words)}" if words else "there are none"
