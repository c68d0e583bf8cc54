"""What waiting for readers ends in when they don't come."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.errors import CannotRun


class GracePeriodExpired(CannotRun):
    """Readers passed no quiescent state within `seconds`. `readers` are their names.

    Nothing was freed: what they may hold is kept until they have passed one, or until the process ends.
    """

    def __init__(self, readers: Iterable[str], seconds: float) -> None:
        self.readers = tuple(readers)
        self.seconds = seconds
        super().__init__(
            f"waited {seconds:g} s for {', '.join(self.readers)}: no quiescent state",
            hint="a program that does not return, or a long test run; what they may hold is kept",
        )
