"""A skip has a proof, or CI fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capabilities import CAPABILITIES, Capability, Lacking, require, requires

CONFTEST = """\
from tests.capabilities import CAPABILITIES, Capability
from tests.skips import *

CAPABILITIES["met"] = Capability("met", lambda: None)
CAPABILITIES["wings"] = Capability("wings", lambda: "it has wheels")
CAPABILITIES["ours"] = Capability("ours", lambda: "gone", installed=True)
"""
TESTS = {
    "met": "@requires('met')\ndef test(): pass",
    "mark": "@requires('met', 'wings')\ndef test(): pass",
    "module": "pytestmark = requires('wings')\ndef test(): pass",
    "parameter": "@pytest.mark.parametrize('x', [pytest.param(1, marks=requires('wings'))])\ndef test(x): pass",
    "fixture": "@pytest.fixture\ndef made(): require('wings')\ndef test(made): pass",
    "inside": "def test(): require(Capability('luck', lambda: 'none left'))",
    "before_fixtures": "@pytest.fixture\ndef made(): assert False\n@requires('wings')\ndef test(made): pass",
    "guessed": "@pytest.mark.skipif(True, reason='who knows')\ndef test(): pass",
    "plain": "def test(): pytest.skip('not today')",
    "installed": "@requires('ours')\ndef test(): pass",
    "file": "pytest.skip('all of it', allow_module_level=True)",
    "xfail": "@pytest.mark.xfail\ndef test(): assert False",
}
HEAD = "import pytest\nfrom tests.capabilities import Capability, require, requires\n"


def outcomes(folder: Path, *options: str) -> tuple[dict[str, str], str]:
    """What becomes of each file of TESTS, and all that pytest says."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = requires(*names)\n")
    for name, code in TESTS.items():
        (folder / f"test_{name}.py").write_text(f"{HEAD}{code}\n")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL|SKIPPED)(?: \[\d+\])? test_(\w+)\.py", done.stdout, re.M)
    return {name: outcome for outcome, name in found}, done.stdout


def test_a_skip_without_a_proof_fails_where_ci_runs(tmp_path: Path) -> None:
    usual = {**dict.fromkeys(TESTS, "SKIPPED"), "met": "PASSED", "xfail": "XFAIL"}
    assert outcomes(tmp_path)[0] == usual
    strict, said = outcomes(tmp_path, "--no-unneeded-skips", "--continue-on-collection-errors")
    unproved = {"guessed": "ERROR", "plain": "FAILED", "installed": "ERROR", "file": "ERROR"}
    assert strict == {**usual, **unproved}
    assert "Lacking: wings: it has wheels" in said
    assert "Lacking: luck: none left" in said
    assert "skipped without a proof (not today)" in said
    assert "`make install` brings that" in said


def test_a_machine_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    name = "asked once"
    monkeypatch.setitem(CAPABILITIES, name, Capability(name, lambda: asked.append(name)))
    require(name)
    require(name)
    assert asked == [name]


def test_a_name_that_is_none_is_no_skip() -> None:
    with pytest.raises(AssertionError, match="no such capability"):
        requires("bpf", "bfp")


@pytest.mark.parametrize("name", CAPABILITIES)
def test_every_probe_answers(name: str) -> None:
    evidence = CAPABILITIES[name].lack()
    assert evidence is None or len(evidence) > 10


def test_a_lack_says_what_and_why() -> None:
    with pytest.raises(Lacking, match=r"^wings: it has wheels$"):
        require(Capability("wings", lambda: "it has wheels"))
