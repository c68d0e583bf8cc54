"""Which Pythons this machine has: in PATH, and where pyenv keeps the versions that are not in PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
IDENTITY = "import os, sys; print(os.path.realpath(sys.executable), *sys.version_info[:3])"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that answers: its version as `3.12`, and where it is."""

    version: str
    path: Path


def supported() -> list[str]:
    """The versions that pyproject.toml promises, in its order."""
    classifiers = tomllib.loads(Path("pyproject.toml").read_text())["project"]["classifiers"]
    return [found[1] for found in map(CLASSIFIER.fullmatch, classifiers) if found]


def search(version: str) -> Interpreter | str:
    """The Python of this version; if there is none, why not."""
    candidates = list(_candidates(version))
    for path in candidates:
        if _answers(path, version):
            return Interpreter(version, path)
    silent = f"; {', '.join(map(str, candidates))} can't be run" if candidates else ""
    return f"python{version} is neither in PATH nor among the versions of pyenv{silent}"


def identity(path: Path) -> str:
    """A line that changes when an environment of this Python is to be made anew."""
    return subprocess.run([path, "-c", IDENTITY], capture_output=True, text=True, check=True, timeout=10).stdout


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    if found := shutil.which(name):
        yield Path(found)
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        if root:
            yield from sorted(Path(root).glob(f"versions/{version}.*/bin/{name}"), reverse=True)


def _answers(path: Path, version: str) -> bool:
    """A shim of pyenv stands in PATH for versions that it then refuses to run, and venv is a package of its own."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=10)
    return done.returncode == 0 and done.stdout.strip() == version
