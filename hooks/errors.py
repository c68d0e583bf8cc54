"""The root of every error that is raised on purpose, and what can go wrong between Tidegate and the kernel.

    TidegateError                 has fields; what the user reads is made at the edge, by `str()`
      InputRefused                exit status 1: a file or an option's value is wrong (appliance.errors)
      CannotRun                   exit status 2: wrong usage, or this machine can't do it
        HookError                 the machine or the kernel did not do what was asked
          InterfaceError, PrivilegeError

The root stands on the ground floor so that there is one for both packages; each room derives its own.
"""

from __future__ import annotations


class TidegateError(Exception):
    """`what` says what is wrong, `where` is the place (a SourceLine or a name), `hint` says what would be right."""

    exit_status = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class CannotRun(TidegateError):
    """What was asked can't be done here: wrong usage, a missing privilege, a machine without the feature."""

    exit_status = 2


class HookError(CannotRun):
    """The machine or the kernel did not do what was asked. `where` names the interface or the file."""

    def __str__(self) -> str:
        """In one line: a running box writes it to the journal."""
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{advice}"


class InterfaceError(HookError):
    """A network interface is missing, down, in use, or refuses a setting."""


class PrivilegeError(HookError):
    """The process lacks a capability that this needs."""
