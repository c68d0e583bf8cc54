"""What the API refuses.

InputRefused
  NoSuchName       no program, map, variable or context field of that name (a KeyError too)
  ValueUnfit       a value of the wrong size or kind, a map that doesn't fit (a ValueError too)
CannotRun
  WrongState       closed, or attached already (a RuntimeError too)

Opening and loading also raise the errors of the rooms below: ObjectError (a damaged file), Rejected (a program that is
not proved safe), MapRefused, and HookError (an interface that can't be attached to).
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.ebpf.values import ValueUnfit
from appliance.errors import CannotRun, InputRefused

__all__ = ["NoSuchName", "ValueUnfit", "WrongState"]


class NoSuchName(InputRefused, KeyError):
    """Nothing of the kind `kind` is called `name`."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str | None = None) -> None:
        names = ", ".join(known) or "none"
        super().__init__(f"there is no {kind} {name!r}", where=where, hint=f"known: {names}")
        self.kind = kind
        self.name = name


class WrongState(CannotRun, RuntimeError):
    """It can't be done now."""
