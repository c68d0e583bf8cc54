"""The path to a rejection, as a person reads it: not every instruction, but what made the value at fault what it is.

firewall.c:12:22: void *data = (void *)(long)ctx->data;
  slot 2: `r7 = *(u32 *)(r6 + 0)`: r7 is a pointer to the packet; no byte from there on is known to be inside
firewall.c:14:7: if (data + 14 > data_end)
  slot 5: `if r1 > r8 goto L40`: not taken, so 14 bytes from `data` on are known to be inside
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from appliance.errors import SourceLine


class Role(StrEnum):
    """What a step did to the value at fault; in this order, the most telling first."""

    MADE = "made"
    LOST = "lost"
    UNSET = "unset"
    JOINED = "joined"
    LEARNED = "learned"
    CALLED = "called"
    CHANGED = "changed"
    DECIDED = "decided"
    RETURNED = "returned"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction on the path, as an index and as a slot, with its text and source line; `effect` says what it did,
    with the value behind it."""

    index: int
    slot: int
    text: str
    source: SourceLine | None
    role: Role
    effect: str

    def __str__(self) -> str:
        return f"slot {self.slot}: `{self.text}`: {self.effect}"


def told(steps: Iterable[Step]) -> list[str]:
    """The lines of a message; a source line of several steps that follow each other stands there once."""
    lines: list[str] = []
    place: tuple[str, int] | None = None
    for step in steps:
        source = step.source
        if source is not None and (source.file, source.line) != place:
            place = source.file, source.line
            text = source.text.strip()
            lines.append(f"{source}: {text}" if text else str(source))
        lines.append(f"  {step}" if source is not None else str(step))
    return lines
