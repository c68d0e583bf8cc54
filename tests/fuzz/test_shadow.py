"""The shadow catches a use after free that nobody sees without it: planted ones, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SHADOW = "from tests.fuzz import shadow\nshadow.cast()\n"
MAP = """
import ctypes
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import open_map
def opened(word):
    map_ = open_map(MapSpec("kept", MapType.ARRAY, 4, 8, 512))
    map_.update(bytes(4), word)
    return map_
freed = opened(b"freed...")
address = freed.address
freed.close()
others = [opened(b"another.") for _ in range(64)]
print(ctypes.string_at(address, 8))
"""
RING = """
import ctypes
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import open_map
spec = MapSpec("ring", MapType.RINGBUF, 0, 0, 4096)
freed = open_map(spec)
address = freed.address
freed.close()
others = [open_map(spec) for _ in range(64)]
ctypes.string_at(address, 8)
"""
CODE = """
import ctypes
from llvmlite import ir
from appliance.ir import Engine
def answering(number):
    module = ir.Module("code")
    function = ir.Function(module, ir.FunctionType(ir.IntType(64), ()), "answer")
    ir.IRBuilder(function.append_basic_block()).ret(ir.Constant(ir.IntType(64), number))
    return Engine(module)
freed = answering(1)
call = ctypes.CFUNCTYPE(ctypes.c_uint64)(freed.address("answer"))
assert call() == 1
freed.close()
others = [answering(2) for _ in range(8)]
assert [other.function("answer", ctypes.c_uint64)() for other in others] == [2] * 8
print("alive", flush=True)
call()
"""


def run(program: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_without_it_another_map_answers() -> None:
    """The very silence that it is for: no crash, and the value of somebody else."""
    assert run(MAP) == (0, "b'another.'\n")


@pytest.mark.parametrize(
    ("program", "before"),
    [pytest.param(MAP, "", id="map"), pytest.param(RING, "", id="ring"), pytest.param(CODE, "alive\n", id="code")],
)
def test_a_planted_use_after_free_is_caught(program: str, before: str) -> None:
    assert run(SHADOW + program) == (-signal.SIGSEGV, before)


@pytest.mark.parametrize("program", [MAP.replace("freed.close()", ""), CODE.replace("freed.close()", "")])
def test_what_is_not_freed_is_let_be(program: str) -> None:
    assert run(SHADOW + program)[0] == 0
