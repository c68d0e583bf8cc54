"""`tidegate test-run`: one program, one frame, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.appliance.api.typed_objects import compiled
from tests.appliance.cli.conftest import ROOT, Tidegate
from tests.appliance.ebpf.compiling import compile_file
from tests.hook_programs import FOLDER

SWAP = ROOT / "programs" / "xdp_swap.bpf.o"
FRAME = "000102030405 060708090a0b 0800 4500"
SWAPPED = "060708090a0b00010203040508004500"


def test_the_document(tidegate: Tidegate) -> None:
    said = tidegate("test-run", SWAP, "--program", "xdp_swap", "--data", FRAME, "--repeat", 3, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert list(document) == [
        "program",
        "retval",
        "verdict",
        "data_out",
        "context_out",
        "nanoseconds",
        "repeat",
        "trace",
    ]
    assert document.pop("nanoseconds") > 0
    assert document.pop("context_out") == {"ingress_ifindex": 0, "rx_queue_index": 0, "egress_ifindex": 0}
    assert document == {
        "program": "xdp_swap",
        "retval": 3,
        "verdict": "tx",
        "data_out": SWAPPED,
        "repeat": 3,
        "trace": [],
    }


def test_in_words(tidegate: Tidegate) -> None:
    said = tidegate("test-run", SWAP, "--program", "xdp_swap", "--data", FRAME)
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(r"xdp_swap: tx \(3\); 1 run, \d+\.\d ns\n06070809 0a0b0001 02030405 08004500\n", said.out)
    many = tidegate("test-run", SWAP, "--program", "xdp_swap", "--data", FRAME, "--repeat", 20)
    assert re.match(r"xdp_swap: tx \(3\); 20 runs, \d+\.\d ns each\n00010203 ", many.out)


def test_only_the_program_asked_for_is_verified(tidegate: Tidegate, unsafe: Path) -> None:
    document = tidegate("test-run", unsafe, "--program", "good", "--data", FRAME, "--json").document
    assert (document["retval"], document["verdict"]) == (2, "pass")
    assert "unsafe.bpf.c:5" in tidegate("test-run", unsafe, "--program", "bad", "--data", FRAME).refused()


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    path = tmp_path / "typed.o"
    path.write_bytes(compiled())
    return path


def test_the_only_program_need_not_be_named(tidegate: Tidegate, unsafe: Path) -> None:
    assert tidegate("test-run", SWAP, "--data", FRAME, "--json").document["program"] == "xdp_swap"
    refused = tidegate("test-run", unsafe, "--data", FRAME).refused()
    assert refused == f"tidegate: {unsafe}: it holds 2 programs\n  hint: say which: --program good or bad\n"


def test_the_frame_may_come_from_a_file(tidegate: Tidegate, tmp_path: Path) -> None:
    frame = tmp_path / "frame"
    frame.write_bytes(bytes.fromhex(FRAME))
    assert tidegate("test-run", SWAP, "--data", f"@{frame}", "--json").document["data_out"] == SWAPPED
    refused = tidegate("test-run", SWAP, "--data", f"@{tmp_path / 'none'}").refused()
    assert refused == f"tidegate: --data @{tmp_path / 'none'}: the file can't be read: No such file or directory\n"


def test_maps_and_variables_afterwards(tidegate: Tidegate, typed: Path) -> None:
    arguments = ("test-run", typed, "--data", FRAME, "--repeat", 2, "--context", "ingress_ifindex=0x10", "--maps")
    document = tidegate(*arguments, "--json").document
    flow = {"source": 16, "port": 443, "mac": "000000000000"}
    assert document["context_out"]["ingress_ifindex"] == 16
    assert document["maps"] == {
        "flows": [{"key": flow, "value": {"packets": 2, "bytes": 16}}],
        "totals": [{"key": 0, "value": [{"packets": 2, "bytes": 0}]}],
        "jobs": [{"value": flow}, {"value": flow}],
        "raw": [],
        "counts": [],
        "modes": [],
    }
    assert document["variables"] == {"ratio": 0.5, "seen": {"packets": 2, "bytes": 0}, "open_to_all": False}
    said = tidegate(*arguments).out
    assert '\nmap totals\n  0: [{"packets": 2, "bytes": 0}]\n\nmap jobs\n  {"source": 16,' in said
    assert "\nmap raw: nothing\n" in said
    assert said.endswith("\nvariable open_to_all\n  false\n")


@pytest.mark.parametrize("field", ["ingress_ifindex", "ingress_ifindex=two", "=3", "speed=3"])
def test_fields_of_the_context_that_are_none(tidegate: Tidegate, field: str) -> None:
    refused = tidegate("test-run", SWAP, "--data", FRAME, "--context", field).refused()
    assert refused.startswith(("tidegate: --context: ", "tidegate: xdp_md: there is no field of the context"))


def test_the_platform_may_be_named(tidegate: Tidegate, unsafe: Path) -> None:
    """2 is DROP on Windows."""
    arguments = ("test-run", unsafe, "--program", "good", "--data", FRAME, "--json")
    assert tidegate(*arguments, "--platform", "windows").document["verdict"] == "drop"


@pytest.mark.parametrize(
    ("program", "data", "message"),
    [
        ("nope", FRAME, f"{SWAP}: there is no program 'nope'\n  hint: known: xdp_swap"),
        ("xdp_swap", "0x00", "--data: not hex digits in pairs\n  hint: write bytes as in `08 00 45 00`"),
        ("xdp_swap", "", "a frame of 0 bytes\n  hint: an Ethernet frame here has 14 to 262144 bytes"),
        ("xdp_swap", "00" * 13, "a frame of 13 bytes\n  hint: an Ethernet frame here has 14 to 262144 bytes"),
    ],
    ids=["no such program", "no hex", "nothing", "too short"],
)
def test_wrong_values(tidegate: Tidegate, program: str, data: str, message: str) -> None:
    refused = tidegate("test-run", SWAP, "--program", program, "--data", data, "--json").refused()
    assert refused == f"tidegate: {message}\n"


@pytest.fixture
def hook_object(tmp_path: Path) -> Callable[[str], Path]:
    """An object of tests/cases/hooks, by its name."""

    def made(name: str) -> Path:
        path = tmp_path / f"{name}.bpf.o"
        path.write_bytes(compile_file(FOLDER / f"{name}.bpf.c"))
        return path

    return made


def test_a_bind_in_words(tidegate: Tidegate, hook_object: Callable[[str], Path]) -> None:
    address = "0200 0050 c0000201 0000000000000000"
    arguments = ("--program", "bind_policy", "--app-id", "C:\\a.exe", "--context", f"socket_address=hex:{address}")
    said = tidegate("test-run", hook_object("windows_bind"), *arguments)
    assert (said.status, said.err) == (0, "")
    first, path, written = said.out.splitlines()
    assert re.fullmatch(r"bind_policy: redirect \(2\); 1 run, \d+\.\d ns", first)
    assert bytes.fromhex(path).decode("utf-16-le") == "C:\\a.exe"
    assert written == "socket_address: 02001f90 c0000201 00000000 00000000"


def test_a_connection_as_a_document(tidegate: Tidegate, hook_object: Callable[[str], Path]) -> None:
    given = ("--context", "user_ip4=192.0.2.9", "--context", "user_port=0x5000", "--context", "type=2")
    path = hook_object("linux_sock_addr")
    document = tidegate("test-run", path, "--program", "connect_elsewhere", *given, "--json").document
    assert (document["verdict"], document["data_out"]) == ("proceed", "")
    assert document["context_out"] == {
        "user_family": 2, "user_ip4": 0x0900007F, "user_port": 0xE914, "family": 2, "type": 2, "protocol": 0,
    }  # fmt: skip
    words = tidegate("test-run", path, "--program", "connect_elsewhere", *given).out
    assert words.splitlines()[1:] == ["user_ip4: 0x900007f", "user_port: 0xe914"]


def test_what_is_left_with_a_connection(tidegate: Tidegate, hook_object: Callable[[str], Path]) -> None:
    said = tidegate("test-run", hook_object("windows_sock_addr"), "--program", "redirect_v4")
    assert said.out.splitlines()[-1] == "redirect_context: nothing"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "00"], "data of 1 bytes\n  hint: this hook has none: everything is in the context"),
        (
            ["--context", "sport=1"],
            "bpf_sock_addr: there is no field of the context to be given 'sport'\n  hint: known: ",
        ),
        (["--context", "user_ip4=::1"], "user_ip4 is given as 16 bytes\n  hint: it has 4"),
        (
            ["--context", "type=stream"],
            "--context: 'type=stream' is no field with a value\n  hint: write it",
        ),
        (["--context", "type=hex:"], "--context: 'type=hex:' is no field with a value"),
        (["--context", "type"], "--context: 'type' is no field with a value\n  hint: write it"),
        (["--context", "type=-1"], "type is -1\n  hint: it has 4 bytes, without a sign"),
    ],
    ids=["data", "no such field", "another family", "a word", "no bytes", "no value", "negative"],
)
def test_wrong_contexts(
    tidegate: Tidegate, hook_object: Callable[[str], Path], arguments: list[str], message: str
) -> None:
    path = hook_object("linux_sock_addr")
    refused = tidegate("test-run", path, "--program", "connect_elsewhere", *arguments).refused()
    assert refused.startswith(f"tidegate: {message}")


def test_data_is_given_once(tidegate: Tidegate) -> None:
    said = tidegate("test-run", SWAP, "--program", "xdp_swap", "--data", FRAME, "--app-id", "x")
    assert (said.status, said.err.splitlines()[-1]) == (2, "Error: --app-id is another way to give --data")
