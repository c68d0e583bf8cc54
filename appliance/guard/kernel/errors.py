"""What keeps an object out of the kernel."""

from __future__ import annotations

from appliance.errors import CannotRun


class NotForKernel(CannotRun):
    """The object needs what this engine doesn't give to the kernel."""
