"""Fixtures that every folder of tests may use."""

import pytest

from tests.bpffs import mount_bpffs
from tests.netns import namespace, topology

__all__ = ["namespace", "topology"]


@pytest.fixture(scope="session", autouse=True)
def bpf_file_system() -> None:
    """Whichever test pins something first."""
    mount_bpffs()
