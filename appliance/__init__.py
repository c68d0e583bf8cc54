"""Tidegate's appliance: from a rule set or an eBPF object to verified native code that judges every frame.

docs/architecture.md is the map of the rooms below.
"""

__version__ = "0.1.0"
