"""What can be wrong with an object that is to guard."""

from __future__ import annotations

from appliance.errors import InputRefused


class NothingToGuard(InputRefused):
    """The object has no program that this engine can call."""
