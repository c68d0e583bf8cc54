"""What can go wrong in the lab itself."""

from __future__ import annotations

from appliance.errors import CannotRun


class LabFailed(CannotRun):
    """A part of the lab did not start, or ended too early."""
