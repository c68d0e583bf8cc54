"""Fixtures and hooks for every folder of tests."""

import pytest

from tests.bpffs import mount_bpffs
from tests.netns import namespace, topology
from tests.skips import pytest_addoption, pytest_make_collect_report, pytest_runtest_makereport, pytest_runtest_setup
from tests.untraced import pytest_itemcollected

__all__ = [
    "namespace",
    "pytest_addoption",
    "pytest_itemcollected",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "topology",
]


@pytest.fixture(scope="session", autouse=True)
def bpf_file_system() -> None:
    """Whichever test pins something first."""
    mount_bpffs()
