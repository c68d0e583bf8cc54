"""What can go wrong with a prover, beside what it says of the object.

TidegateError
  InputRefused
    ProverTimedOut          the object takes more time than a prover may have
    ProverTooLarge          the object takes more memory than a prover may have
  CannotRun
    ProverDied              it ended before it had answered; `signal` is what ended it, None if it left by itself
    ProverAnsweredNonsense  what it answered is not a Built, or not of what was asked
"""

from __future__ import annotations

import signal

from appliance.errors import CannotRun, InputRefused

_SMALLER = "make it smaller: fewer rules or larger sets, or a program split by tail calls"


class ProverTimedOut(InputRefused):
    """It was ended after `seconds`, of the clock or of a processor."""

    def __init__(self, source: str, seconds: float) -> None:
        super().__init__(f"proof and code weren't made within {seconds:g} s", where=source, hint=_SMALLER)
        self.seconds = seconds


class ProverTooLarge(InputRefused):
    """It wanted more memory than the `limit`, in bytes."""

    def __init__(self, source: str, limit: int) -> None:
        super().__init__(f"proof and code weren't made in {limit >> 20} MiB of memory", where=source, hint=_SMALLER)
        self.limit = limit


class ProverDied(CannotRun):
    """`signal` ended it, or an error of its own; `words` are the last that it said: an untrusted process's."""

    def __init__(self, source: str, number: int | None, words: str = "") -> None:
        how = f"was ended by {_name(number)}" if number is not None else "ended"
        said = f"; it said: {words}" if words else ""
        hint = "the object may be hostile, or Tidegate have a defect: keep the object, and report it"
        super().__init__(f"the prover {how} before it answered{said}", where=source, hint=hint)
        self.signal = number
        self.words = words


class ProverAnsweredNonsense(CannotRun):
    """`reason` says what is wrong with the answer."""

    def __init__(self, source: str, reason: str) -> None:
        hint = "the object may be hostile, and have taken the prover over: don't use it, and report it"
        super().__init__(f"the prover's answer can't be used: {reason}", where=source, hint=hint)
        self.reason = reason


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
