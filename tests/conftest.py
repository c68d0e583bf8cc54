"""Fixtures and hooks for every folder of tests."""

from collections.abc import Iterator
from pathlib import Path

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
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the boxes of this run keep their key and remember code: no test finds what another run left, or leaves it
    to a box of this machine."""
    directory = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(directory))
        yield directory


@pytest.fixture(scope="session", autouse=True)
def bpf_file_system() -> None:
    """Whichever test pins something first."""
    mount_bpffs()
