"""Whatever file is put where another belongs: one clear message that names it, status 1, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import BOX, FRAMES, ROOT, RULES, Tidegate, process
from tests.capabilities import requires

NOBODY = 65534
COMMANDS: dict[str, Callable[[Path], list[object]]] = {
    "run": lambda path: ["run", path],
    "check": lambda path: ["check", path],
    "compile": lambda path: ["compile", path, "-o", path.parent / "out.o"],
    "approve": lambda path: ["approve", path, "--key", path.parent / "none.pem", "-o", path.parent / "out.approved"],
    "inspect": lambda path: ["inspect", path],
    "verify": lambda path: ["verify", path],
    "verify --json": lambda path: ["verify", "--json", path],
    "disasm": lambda path: ["disasm", path],
    "replay source": lambda path: ["replay", path, ROOT / "none.pcap"],
    "replay capture": lambda path: ["replay", ROOT / "programs" / "xdp_pass.bpf.o", path, "--json"],
    "test-run": lambda path: ["test-run", path, "--program", "p", "--data", "00", "--json"],
    "lab": lambda path: ["lab", path, "--json"],
}
OBJECT = (ROOT / "programs" / "xdp_firewall.bpf.o").read_bytes()
CONTENTS = {
    "empty": b"",
    "zeros": bytes(4096),
    "noise": bytes((7 * n * n + n // 3) & 0xFF for n in range(5000)),
    "words": b"let nobody pass\n",
    "a list": b"- rules\n- rules\n",
    "open bracket": b"rules: [{id: a\n",
    "a tab": b"rules:\n\t- a\n",
    "deep": b"[" * 5000,
    "a number": b"42",
    "rules that are text": b"version: 1\ninterfaces: eth0\nrules: none\n",
    "ELF magic alone": b"\x7fELF",
    "half an object": OBJECT[: len(OBJECT) // 2],
    "an object without sections": OBJECT[:64],
    "capture magic alone": b"\xd4\xc3\xb2\xa1",
}

every_command = pytest.mark.parametrize("command", COMMANDS)


def refusal(tidegate: Tidegate, command: str, path: Path) -> str:
    message = tidegate(*COMMANDS[command](path)).refused()
    assert message.startswith(f"tidegate: {path}"), message
    assert len(message) < 1500, "a message, not a log"
    return message


@every_command
@pytest.mark.parametrize("name", CONTENTS)
def test_wrong_contents(tidegate: Tidegate, tmp_path: Path, command: str, name: str) -> None:
    path = tmp_path / "input"
    path.write_bytes(CONTENTS[name])
    refusal(tidegate, command, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["input"]


@every_command
def test_a_missing_file(tidegate: Tidegate, tmp_path: Path, command: str) -> None:
    assert "no such file or directory" in refusal(tidegate, command, tmp_path / "missing").lower()


@every_command
def test_a_directory(tidegate: Tidegate, tmp_path: Path, command: str) -> None:
    assert "is a directory" in refusal(tidegate, command, tmp_path).lower()


@every_command
def test_a_name_that_cannot_be(tidegate: Tidegate, tmp_path: Path, command: str) -> None:
    refusal(tidegate, command, tmp_path / ("x" * 300))


@contextmanager
def somebody_else() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@every_command
@requires("root")  # who can become somebody else
def test_an_unreadable_file(tidegate: Tidegate, tmp_path: Path, command: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(OBJECT)
    path.chmod(0o600)
    with somebody_else():
        assert "permission denied" in refusal(tidegate, command, path).lower()


ODD_NAME = os.fsdecode(b'caf\xe9 new\nline quote" back\\slash ' + "schön ↔".encode())


def test_odd_names_of_files_are_only_names(tidegate: Tidegate, tmp_path: Path, capture: Path) -> None:
    rules = tmp_path / f"{ODD_NAME}.yaml"
    rules.write_text(f"{BOX}{RULES}")
    output = rules.with_suffix(".o")
    assert "2 rules" in tidegate("check", rules).out
    rules.write_text(RULES)
    assert tidegate("compile", rules, "-o", output).status == 0
    assert tidegate("disasm", output).status == 0
    assert tidegate("verify", output, "--json").status == 0
    frames = [
        tidegate("replay", source, capture, "--json", *extra).document["frames"]
        for source, extra in ((rules, ()), (output, ("--program", "tidegate_in")))
    ]
    assert frames == [len(FRAMES)] * 2
    capture.rename(capture.with_name(f"{ODD_NAME}.pcap"))
    assert tidegate("replay", output, capture.with_name(f"{ODD_NAME}.pcap"), "--program", "tidegate_in").status == 0


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_strict_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", f"{encoding}:strict")
    path = tmp_path / os.fsdecode(b"caf\xe9.o")
    path.write_bytes(OBJECT)
    done = process("verify", path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\\udce9.o" in done.stdout
