"""The appliance's errors, and the place in a file that they speak of. Their root is `hooks.errors.TidegateError`.

    TidegateError
      InputRefused                exit status 1: a file or an option's value is wrong
      CannotRun                   exit status 2: wrong usage, or this machine can't do it

Each room derives its own from these two.
"""

from __future__ import annotations

from dataclasses import dataclass

from hooks.errors import CannotRun, TidegateError

__all__ = ["CannotRun", "InputRefused", "SourceLine", "TidegateError"]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in a file that a person wrote. Lines and columns count from 1; column 0 means unknown."""

    file: str
    line: int
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")


class InputRefused(TidegateError):
    """What the user gave can't be accepted as it is."""

    exit_status = 1
