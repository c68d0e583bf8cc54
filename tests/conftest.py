"""Fixtures that every folder of tests may use."""

from tests.netns import namespace, topology

__all__ = ["namespace", "topology"]
