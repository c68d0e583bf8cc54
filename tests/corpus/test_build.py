"""The committed objects are what Debian's clang makes of the corpus, byte for byte, wherever it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capabilities import require, requires
from tests.corpus.building import build
from tests.corpus.corpus import NAMES, OBJECTS, loaded, object_of

pytestmark = requires("clang", "bpftool")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("name", NAMES)
def test_fresh_objects_mean_the_same(built: Path, name: str) -> None:
    for side in ("good", "bad"):
        fresh, committed = (loaded(object_of(name, side, folder)) for folder in (built, OBJECTS))
        assert (fresh.programs, fresh.maps) == (committed.programs, committed.maps), "run `make -C tests/corpus`"


def test_fresh_objects_have_the_same_bytes(built: Path) -> None:
    require("clang 14.0.6")
    assert {path.name: path.read_bytes() for path in built.glob("*.o")} == {
        path.name: path.read_bytes() for path in OBJECTS.glob("*.o")
    }
