"""A value that is refused, and the place inside of it where the reason lies."""

from __future__ import annotations

from appliance.errors import InputRefused


class ValueUnfit(InputRefused, ValueError):
    """What was given doesn't fit where it was put. `where` is the place, in C's words: `value.peers[3].port`."""

    def within(self, place: str) -> ValueUnfit:
        """The same error, `place` being what holds the value that is wrong."""
        joint = "" if self.where is None or str(self.where).startswith("[") else "."
        self.where = place if self.where is None else f"{place}{joint}{self.where}"
        return self
