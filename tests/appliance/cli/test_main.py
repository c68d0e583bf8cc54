"""The program itself: usage, exit statuses, and output that nobody reads."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli.main import COMMANDS, main
from tests.appliance.cli.conftest import ROOT, Tidegate, process

FIREWALL = ROOT / "programs" / "xdp_firewall.bpf.o"
DESIGNED = (
    "run",
    "check",
    "compile",
    "verify",
    "explain",
    "inspect",
    "keygen",
    "approve",
    "disasm",
    "exec",
    "replay",
    "diff",
    "test-run",
    "guard",
    "lab",
)


def test_the_commands_are_those_of_the_design(tidegate: Tidegate) -> None:
    assert tuple(COMMANDS) == DESIGNED
    said = tidegate("--help")
    assert said.status == 0
    for name in DESIGNED:
        assert re.search(rf"^  {name} ", said.out, re.MULTILINE)


@pytest.mark.parametrize("command", DESIGNED)
def test_every_command_has_help(tidegate: Tidegate, command: str) -> None:
    said = tidegate(command, "--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"Usage: tidegate {command}")


def test_the_version(tidegate: Tidegate) -> None:
    assert re.fullmatch(r"tidegate, version \d+\.\d+\.\d+\n", tidegate("--version").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: tidegate [OPTIONS] COMMAND [ARGS]..."),
        (["gate"], "Error: No such command 'gate'."),
        (["--nope"], "Error: No such option '--nope'."),
        (["run"], "Error: Missing argument 'CONFIG'."),
        (["check"], "Error: Missing argument '(CONFIG|RULES)'."),
        (["check", "a", "b"], "Error: Got unexpected extra argument (b)"),
        (["compile"], "Error: Missing argument 'RULES'."),
        (["compile", "rules.yaml"], "Error: Missing option '-o' / '--output'."),
        (["verify"], "Error: Missing argument 'OBJ...'."),
        (["verify", "--platform", "plan9", "x.o"], "Error: Invalid value for '--platform': 'plan9' is not one of"),
        (["verify", "--fast", "x.o"], "Error: No such option '--fast'."),
        (["disasm"], "Error: Missing argument 'OBJ'."),
        (["exec", "--engine", "quantum"], "Error: Invalid value for '--engine': 'quantum' is not one of"),
        (["exec", "00", "00"], "Error: Got unexpected extra argument (00)"),
        (["replay"], "Error: Missing argument '(RULES|CONFIG|OBJ)'."),
        (["replay", "rules.yaml"], "Error: Missing argument 'PCAP...'."),
        (["diff", "old.yaml"], "Error: Missing argument 'NEW'."),
        (["check", "rules.yaml", "--frame", "first"], "Error: Invalid value for '--frame': 'first' is not a valid int"),
        (["replay", "--engine", "quantum", "a", "b"], "Error: Invalid value for '--engine': 'quantum' is not one of"),
        (["test-run"], "Error: Missing argument 'OBJ'."),
        (["test-run", "x.o", "--data"], "Error: Option '--data' requires an argument."),
        (["inspect"], "Error: Missing argument 'OBJ'."),
        (["test-run", "x.o", "--repeat", "0"], "Error: Invalid value for '--repeat': 0 is not in the range"),
        (["test-run", "x.o", "--repeat", "often"], "Error: Invalid value for '--repeat': 'often' is not a valid int"),
        (["lab", "--seconds", "0"], "Error: Invalid value for '--seconds': 0.0 is not in the range"),
        (["lab", "--seconds", "soon"], "Error: Invalid value for '--seconds': 'soon' is not a valid float range."),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_wrong_usage(tidegate: Tidegate, arguments: list[str], message: str) -> None:
    assert message in tidegate(*arguments).refused(2)


def test_a_process_of_its_own() -> None:
    done = process("disasm", FIREWALL, shell="| head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"xdp: xdp_firewall\n", b"")


def test_a_start_is_not_spent_on_looking_for_garbage(box: Path) -> None:
    """300 times and more with Python's own threshold."""
    counting = "import atexit, gc; atexit.register(lambda: print(sum(g['collections'] for g in gc.get_stats())))"
    program = [sys.executable, "-c", f"{counting}; from appliance.cli import main; main()", "check", str(box)]
    said = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert int(said.splitlines()[-1]) < 100


def test_a_reader_that_is_gone_is_no_error() -> None:
    """The output is small enough to wait in the buffer until the end."""
    done = process("disasm", ROOT / "programs" / "xdp_pass.bpf.o", shell="> >(exec 0<&-; sleep 0.1); sleep 0")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["xdp_pass", "xdp_firewall"])
def test_a_full_disk_is_said(name: str) -> None:
    done = process("disasm", ROOT / "programs" / f"{name}.bpf.o", shell="> /dev/full")
    assert (done.returncode, done.stderr) == (2, b"tidegate: No space left on device\n")


def test_a_lab_that_was_ended_did_not_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.cli.commands.lab.run_lab", lambda *_, **__: sys.exit(128 + signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        main(["lab", "--json"])
    assert ended.value.code == 143
