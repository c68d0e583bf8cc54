"""`tidegate compile`: the object, and what others must put into its maps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.rules import compile_rule_set, load_rule_set
from tests.appliance.cli.conftest import Tidegate
from tests.appliance.rules.kernel import needs_kernel
from tests.bpffs import BPFFS
from tests.rule_cases import build

RULES = (
    "sets: {bad: {type: prefix, elements: [192.0.2.0/24, 2001:db8::/32], constant: false}}\n"
    "rules:\n"
    '- {id: listed, match: {ip.src: "@bad"}, action: drop}\n'
    + "".join(f"- {{id: r{n}, match: {{ip.dst: 10.0.{n}.0/24, udp.dport: {n}}}, action: drop}}\n" for n in range(64))
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the rule set, which commands run in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RULES)
    return tmp_path


def test_what_maps_must_be_given_is_told_or_written(tidegate: Tidegate, home: Path) -> None:
    told = tidegate("compile", "r.yaml", "-o", "r.o")
    assert told.status == 0
    assert "must put 1 entries into map `in4_bad` (see --fill)" in told.err
    written = tidegate("compile", "r.yaml", "-o", "r.o", "--fill", "maps", "--pins", "/sys/fs/bpf/x/")
    assert (written.status, written.err) == (0, "")
    contents = compile_rule_set(load_rule_set(home / "r.yaml")).contents
    files = {path.stem: path.read_text().splitlines() for path in (home / "maps").iterdir()}
    assert {name: len(lines) for name, lines in files.items()} == {
        name: len(entries) for name, entries in contents.items() if entries
    }
    assert files["in4_bad"] == [
        "map update pinned /sys/fs/bpf/x/in4_bad key hex 18 00 00 00 c0 00 02 00 value hex 01 00 00 00 any"
    ]


def test_a_folder_that_can_t_be_written(tidegate: Tidegate, home: Path) -> None:
    (home / "maps").write_text("a file")
    done = tidegate("compile", "r.yaml", "-o", "r.o", "--fill", "maps")
    assert done.status == 2
    assert done.err == "tidegate: maps: can't be written: File exists\n"


@needs_kernel
def test_bpftool_fills_the_maps(tidegate: Tidegate, home: Path) -> None:
    pins = BPFFS / f"tidegate-test-fill-{os.getpid()}"
    done = tidegate("compile", "r.yaml", "-o", "r.o", "--fill", "maps", "--pins", f"{pins}/maps")
    assert done.status == 0, done.err
    contents = compile_rule_set(load_rule_set(home / "r.yaml")).contents
    pins.mkdir()
    try:
        load = ["prog", "loadall", "r.o", f"{pins}/programs", "type", "xdp", "pinmaps", f"{pins}/maps"]
        _bpftool(*load)
        for path in (home / "maps").iterdir():
            _bpftool("batch", "file", str(path))
            dumped = json.loads(_bpftool("map", "dump", "pinned", f"{pins}/maps/{path.stem}", "--json"))
            held = {_bytes(entry["key"]): _bytes(entry["value"]) for entry in dumped}
            assert held.items() >= dict(iter(contents[path.stem])).items()
        (home / "frame").write_bytes(build('Ether()/IP(src="192.0.2.1")/UDP()'))
        run = _bpftool("prog", "run", "pinned", f"{pins}/programs/tidegate_in", "data_in", "frame")
        assert "Return value: 1," in run, "a listed source is dropped"
    finally:
        shutil.rmtree(pins)


def _bpftool(*words: str) -> str:
    done = subprocess.run(["bpftool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _bytes(numbers: list[str]) -> bytes:
    return bytes(int(number, 16) for number in numbers)


def test_interfaces_are_looked_up_where_the_maps_are_written(tidegate: Tidegate, home: Path) -> None:
    (home / "r.yaml").write_text("rules: [{id: a, action: redirect, redirect: {to: lo}}]\n")
    told = tidegate("compile", "r.yaml", "-o", "r.o")
    assert told.err.endswith("whoever loads it must put lo into map `redirects` (see --fill)\n")
    assert tidegate("compile", "r.yaml", "-o", "r.o", "--fill", "maps", "--pins", "/pins").status == 0
    assert (home / "maps" / "redirects.bpftool").read_text() == (
        "map update pinned /pins/redirects key hex 00 00 00 00 value hex 01 00 00 00 any\n"
    )
    (home / "r.yaml").write_text("rules: [{id: a, action: redirect, redirect: {to: nowhere0}}]\n")
    refused = tidegate("compile", "r.yaml", "-o", "r.o", "--fill", "maps")
    assert refused.status == 2
    assert refused.err.startswith("tidegate: there is no interface nowhere0 here\n  hint: `--fill` looks interfaces up")


def test_a_copy_beside_a_passing_frame_is_nothing_that_xdp_can_do(tidegate: Tidegate, home: Path) -> None:
    rule = "rules: [{id: a, action: mirror, mirror: {to: lo}%s}]\n"
    (home / "r.yaml").write_text(rule % "")
    refused = tidegate("compile", "r.yaml", "-o", "r.o")
    assert refused.status == 1
    assert refused.err.startswith("tidegate: r.yaml:1:9: rule 'a' mirrors, which only a box does\n")
    (home / "r.yaml").write_text(rule % ", mode: monitor")
    assert tidegate("compile", "r.yaml", "-o", "r.o").status == 0
