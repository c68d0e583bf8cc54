"""How a document's defects are told: each with its place and a hint, and all of them at once.

InputRefused                one defect, or
  RuleSetRefused            several of them: `defects`, printed one after the other
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from appliance.errors import InputRefused


class RuleSetRefused(InputRefused):
    """A document can't be accepted. `defects` are all that was found, in the order of their places."""

    def __init__(self, defects: Sequence[InputRefused]) -> None:
        first = defects[0]
        super().__init__(first.what, where=first.where, hint=first.hint)
        self.defects = tuple(defects)

    def __str__(self) -> str:
        return "\n".join(str(defect) for defect in self.defects)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is none of `known`: the nearest one, or all of them when none is near."""
    words = sorted(known)
    near = difflib.get_close_matches(str(word), words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are: {', '.join(words)}" if words else "there are none"
