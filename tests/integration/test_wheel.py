"""The wheel, built and installed into an empty environment elsewhere: what it holds, and that it works from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.appliance.box.conftest import HEAD, RunningBox
from tests.appliance.box.wire import arrivals, udp
from tests.netns import Topology

FOLDERS = ("appliance", "hooks", "configs", "docs/rejections", "programs/include", "programs/stages")
SOURCES = (*FOLDERS, "pyproject.toml", "README.md", "LICENSE")
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
LOCK = Path("requirements.lock").resolve()
SHIPPED = [
    *Path("configs").glob("*.json"),
    *Path("configs").glob("*.service"),
    *Path("configs").glob("*.yaml"),
    *Path("configs/lists").iterdir(),
    *Path("configs/rulesets").glob("*.nft"),
    *Path("configs/rulesets").rglob("*.yaml"),
    *Path("docs/rejections").iterdir(),
    *Path("programs/include").glob("*.h"),
    *Path("programs/stages").iterdir(),
]
pytestmark = pytest.mark.timeout(300)  # the first one waits for the environment


@dataclass(frozen=True)
class Installed:
    """A wheel, and the environment that holds it and what the lock names. Commands run in an empty folder."""

    wheel: Path
    environment: Path
    folder: Path

    @property
    def tidegate(self) -> str:
        return str(self.environment / "bin" / "tidegate")

    def run(self, *words: str | Path) -> str:
        """What it says on standard output. It must end well."""
        done = subprocess.run(
            words, cwd=self.folder, env=clean(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def path(self, name: str) -> Path:
        """Where a file that ships lies in the environment."""
        code = f"from appliance.shipped import shipped; print(shipped({name!r}))"
        return Path(self.run(self.environment / "bin" / "python", "-c", code).strip())


def clean() -> dict[str, str]:
    """The environment of a shell that knows nothing of this checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("wheel")
    source = home / "source"
    for name in SOURCES:  # a copy, because setuptools leaves folders where it builds, and takes up what lies in them
        if Path(name).is_dir():
            shutil.copytree(name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, source / name)
    build = [sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", home, source]
    subprocess.run(build, check=True, timeout=100)
    (wheel,) = home.glob("*.whl")
    shutil.rmtree(source)

    environment = home / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=60)
    for what in (["--require-hashes", "-r", LOCK], ["--no-deps", wheel]):
        subprocess.run([environment / "bin" / "python", *PIP, "install", *what], check=True, timeout=100)
    folder = home / "elsewhere"
    folder.mkdir()
    yield Installed(wheel, environment, folder)
    shutil.rmtree(environment)


def test_it_holds_the_files_that_ship_as_they_are(installed: Installed) -> None:
    with ZipFile(installed.wheel) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("appliance/shipped/")}
    assert held.pop("appliance/shipped/__init__.py")
    assert held == {f"appliance/shipped/{path}": path.read_bytes() for path in SHIPPED}


def test_it_holds_nothing_but_the_two_packages(installed: Installed) -> None:
    with ZipFile(installed.wheel) as wheel:
        tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops - {top for top in tops if top.endswith(".dist-info")} == {"appliance", "hooks"}


def test_nothing_comes_from_the_checkout(installed: Installed) -> None:
    assert installed.path("configs").is_relative_to(installed.environment)
    code = "import hooks, appliance; print(hooks.__file__, appliance.__file__)"
    for file in installed.run(installed.environment / "bin" / "python", "-c", code).split():
        assert Path(file).is_relative_to(installed.environment)


def test_the_lab(installed: Installed) -> None:
    report = json.loads(installed.run(installed.tidegate, "lab", "--seconds", "3", "--json"))
    assert report["good"]["sent"] > 0
    assert report["good"]["received"] >= report["good"]["sent"] * 0.98  # a busy machine may answer one too late
    assert report["box"]["dropped"] > 0


def test_check_of_the_example(installed: Installed) -> None:
    told = installed.run(installed.tidegate, "check", installed.path("configs/tidegate.yaml"))
    assert "tidegate.yaml: good. eth0 <-> eth1" in told


def test_explain(installed: Installed) -> None:
    page = installed.run(installed.tidegate, "explain", "packet-bounds")
    assert page == Path("docs/rejections/packet-bounds.md").read_text(encoding="utf-8")


def test_run_with_the_default_rules(installed: Installed, topology: Topology) -> None:
    config = installed.folder / "box.yaml"
    config.write_text(f"{HEAD}include: [{installed.path('configs/rulesets/default.yaml')}]\n")
    box = RunningBox(topology, config, [installed.tidegate])
    try:
        box.wait_for("metrics on")
        bogon, honest = udp(10, source="240.0.0.1"), udp(10, source="9.9.9.9")
        assert arrivals(topology, bogon, honest) == [honest]
        assert box.rule("bogons") == 1
    finally:
        box.end()
