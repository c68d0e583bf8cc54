"""The committed objects are what Debian's clang makes of the corpus, byte for byte, wherever it runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.corpus.building import build
from tests.corpus.corpus import NAMES, OBJECTS, loaded, object_of

pytestmark = pytest.mark.skipif(
    shutil.which("clang") is None or shutil.which("bpftool") is None, reason="compiling takes clang and bpftool"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("name", NAMES)
def test_fresh_objects_mean_the_same(built: Path, name: str) -> None:
    for side in ("good", "bad"):
        fresh, committed = (loaded(object_of(name, side, folder)) for folder in (built, OBJECTS))
        assert (fresh.programs, fresh.maps) == (committed.programs, committed.maps), "run `make -C tests/corpus`"


def test_fresh_objects_have_the_same_bytes(built: Path) -> None:
    if "14.0.6" not in subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("another clang than Debian 12's makes other bytes")
    assert {path.name: path.read_bytes() for path in built.glob("*.o")} == {
        path.name: path.read_bytes() for path in OBJECTS.glob("*.o")
    }
