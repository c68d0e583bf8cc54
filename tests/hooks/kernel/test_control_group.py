"""A control group of one's own: who is in it, how it ends, and what is no place for one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hooks.kernel.control_group import ControlGroup, NoControlGroup
from tests.capabilities import requires
from tests.cgroup2 import hierarchy


@requires("root", "cgroup2")
def test_what_runs_in_it_is_killed_and_it_is_gone() -> None:
    below = hierarchy()
    assert below is not None
    with ControlGroup(below) as group:
        assert not group.populated
        with subprocess.Popen(["sh", "-c", "sleep 60; true"], preexec_fn=group.enter) as running:  # noqa: PLW1509 (one thread)
            assert group.populated
            group.kill()
            assert running.wait(20) == -signal.SIGKILL
        assert group.remove()
    assert not group.path.exists()
    group.close()


@requires("root", "cgroup2")
def test_it_stays_while_something_runs_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooks.kernel.control_group.PATIENCE", 0.0)
    below = hierarchy()
    assert below is not None
    with ControlGroup(below) as group, subprocess.Popen(["sleep", "60"], preexec_fn=group.enter) as running:  # noqa: PLW1509 (one thread)
        assert not group.remove()
        running.kill()
        running.wait(20)
        monkeypatch.setattr("hooks.kernel.control_group.PATIENCE", 20.0)
        assert group.remove()
    assert str(os.getpid()) in group.path.name


def test_another_directory_is_no_control_group(tmp_path: Path) -> None:
    with pytest.raises(NoControlGroup, match="this is no control group of version 2"):
        ControlGroup(tmp_path)
    assert [*tmp_path.iterdir()] == []
