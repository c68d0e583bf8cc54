"""The root of every error that the appliance raises on purpose.

    TidegateError                 has fields; what the user reads is made at the edge, by `str()`
      InputRefused                exit status 1: a file or an option's value is wrong
      CannotRun                   exit status 2: wrong usage, or this machine can't do it

Each room derives its own from these two. `hooks` has a root of its own, HookError, with the same fields.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in a file that a person wrote. Lines and columns count from 1; column 0 means unknown."""

    file: str
    line: int
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")


class TidegateError(Exception):
    """`what` says what is wrong, `where` is the place, `hint` says what would make it right."""

    exit_status = 1

    def __init__(self, what: str, *, where: SourceLine | str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class InputRefused(TidegateError):
    """What the user gave can't be accepted as it is."""

    exit_status = 1


class CannotRun(TidegateError):
    """What was asked can't be done here: wrong usage, a missing privilege, a machine without the feature."""

    exit_status = 2
