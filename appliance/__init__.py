"""Tidegate's appliance: from a rule set or an eBPF object to verified native code that judges every frame.

docs/architecture.md is the map of the rooms below.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.api import open_object

__all__ = ["__version__", "open_object"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`open_object`, imported when it is first asked for: no room must wait for what only the API needs."""
    if name != "open_object":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("appliance.api").open_object
