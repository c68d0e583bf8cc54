"""The committed objects are what Debian's clang makes of the sources, byte for byte, wherever it runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.ebpf.objects.objects import load_object, load_object_file
from tests.capabilities import require, requires

PROGRAMS = Path(__file__).parents[2] / "programs"
OBJECTS = sorted(PROGRAMS.glob("*.bpf.o"))
BITCODE = sorted(PROGRAMS.glob("stages/*.bc"))

pytestmark = requires("clang", "bpftool")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fresh objects, made in a copy of the sources that lies elsewhere."""
    home = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(PROGRAMS, home / "programs", ignore=shutil.ignore_patterns("*.o", "*.bc"))
    subprocess.run(["make", "-s", "-C", str(home / "programs")], check=True)
    return home / "programs"


@pytest.mark.parametrize("committed", OBJECTS, ids=lambda path: path.name)
def test_a_fresh_object_means_the_same(built: Path, committed: Path) -> None:
    fresh = load_object((built / committed.name).read_bytes(), str(committed))
    assert fresh == load_object_file(committed), "run `make -C programs` and commit the objects"


@pytest.mark.parametrize("committed", OBJECTS, ids=lambda path: path.name)
def test_a_fresh_object_has_the_same_bytes(built: Path, committed: Path) -> None:
    require("clang 14.0.6")
    assert (built / committed.name).read_bytes() == committed.read_bytes()


@pytest.mark.parametrize("committed", BITCODE, ids=lambda path: path.name)
def test_fresh_bitcode_has_the_same_bytes(built: Path, committed: Path) -> None:
    require("clang 14.0.6")
    fresh = (built / "stages" / committed.name).read_bytes()
    assert fresh == committed.read_bytes(), "run `make -C programs` and commit the bitcode"


def test_every_stage_has_its_bitcode() -> None:
    assert [path.stem for path in BITCODE] == sorted(path.stem for path in PROGRAMS.glob("stages/*.c"))


@pytest.mark.parametrize("committed", OBJECTS, ids=lambda path: path.name)
def test_an_object_straight_from_clang_means_the_same(built: Path, committed: Path) -> None:
    """Without bpftool's linking: BTF not yet relocated, DWARF and all its sections still there."""
    out = built / "unlinked"
    out.mkdir(exist_ok=True)
    copy = ["make", "-s", "-C", str(built), f"OUT={out}", "BPFTOOL=sh -c 'cp $$4 $$3' sh"]
    subprocess.run(copy, check=True)
    assert load_object((out / committed.name).read_bytes(), str(committed)) == load_object_file(committed)
