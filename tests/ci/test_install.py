"""`.ci/install`: which Python it takes, and when it makes `.venv` anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(".ci").resolve()
SYSTEM = Path("/usr/bin/python3")
NEW_ENOUGH = (
    SYSTEM.exists()
    and subprocess.run([SYSTEM, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode == 0
)
EXPECTED = SYSTEM if NEW_ENOUGH else Path(sys.executable)


@pytest.fixture
def pretender(tmp_path: Path) -> dict[str, str]:
    """An environment in which another `python3` stands first in PATH, as pyenv's does."""
    folder = tmp_path / "shims"
    folder.mkdir()
    shim = folder / "python3"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def output(*command: str | Path, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout


def test_the_systems_own_python_comes_before_whatever_stands_first_in_path(
    pretender: dict[str, str], tmp_path: Path
) -> None:
    chosen = Path(output(CI / "python", folder=tmp_path, environment=pretender).strip())
    assert chosen == (EXPECTED if NEW_ENOUGH else tmp_path / "shims" / "python3")


def test_an_environment_of_another_python_is_made_anew_and_ones_own_is_kept(
    pretender: dict[str, str], tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    for name in ("install", "debian", "python"):
        shutil.copy(CI / name, checkout / ".ci" / name)
    (checkout / "packages.txt").write_text("# nothing\n")
    (checkout / ".ci" / "packages").write_text("#!/bin/sh\n")
    (checkout / ".ci" / "packages").chmod(0o755)
    for package in ("appliance", "hooks"):
        (checkout / package).mkdir()
    environment = checkout / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to("/usr/bin/python-of-yesterday")
    (environment / "made-by").write_text("/usr/bin/python-of-yesterday 3 11 0\n")

    output(checkout / ".ci" / "install", folder=checkout, environment=pretender)
    version = output(environment / "bin" / "python", "-VV", folder=checkout, environment=pretender)
    assert version == output(EXPECTED, "-VV", folder=checkout, environment=pretender)
    assert (environment / "made-by").read_text() == output(
        CI / "python", "--identity", folder=checkout, environment=pretender
    )

    kept = environment / "kept"
    kept.touch()
    output(checkout / ".ci" / "install", folder=checkout, environment=pretender)
    assert kept.exists()
