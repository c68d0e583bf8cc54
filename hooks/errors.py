"""What can go wrong between Tidegate and the kernel."""

from __future__ import annotations


class HookError(Exception):
    """The machine or the kernel did not do what was asked.

    `what` says what is wrong, `where` names the interface or the file, `hint` says what would make it right.
    """

    exit_status = 2

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{advice}"


class InterfaceError(HookError):
    """A network interface is missing, down, in use, or refuses a setting."""


class PrivilegeError(HookError):
    """The process lacks a capability that this needs."""
