"""`tidegate test-run`: one program, one frame, and what came of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import ROOT, Tidegate

SWAP = ROOT / "programs" / "xdp_swap.bpf.o"
FRAME = "000102030405 060708090a0b 0800 4500"
SWAPPED = "060708090a0b00010203040508004500"


def test_the_document(tidegate: Tidegate) -> None:
    said = tidegate("test-run", SWAP, "--program", "xdp_swap", "--data", FRAME, "--repeat", 3, "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert list(document) == ["program", "retval", "verdict", "data_out", "nanoseconds", "repeat"]
    assert document.pop("nanoseconds") > 0
    assert document == {"program": "xdp_swap", "retval": 3, "verdict": "tx", "data_out": SWAPPED, "repeat": 3}


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
