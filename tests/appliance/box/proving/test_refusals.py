"""Refusals as data: every class comes back as itself, with its words."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import appliance
from appliance.box.proving.prover import Prover
from appliance.box.proving.records import Malformed, decode, encode
from appliance.box.proving.refusals import CROSSING, Refusal
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import DecodeError
from appliance.ebpf.isa.codec.encoder import EncodeError
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import CoreError, ObjectError, UnsupportedObject
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import CannotRun, InputRefused, SourceLine, TidegateError
from appliance.jit.plan import KernelOnlyProgram
from appliance.jit.subprogram import NotCompilable
from appliance.maps.errors import MapRefused
from appliance.verifier import Rejected, Unsupported, Verifier
from hooks.contracts.xdp import XDP_LINUX
from tests.appliance.ebpf.compiling import compile_c
from tests.capabilities import requires

PLACE = SourceLine("rules.yaml", 12, 3, "  - {id: a}")
PROGRAM = ProgramSpec("p", "xdp", XDP_LINUX, assemble("r0 = r5\nexit"))
# What can be raised on the way from an object to code stands in these rooms.
ROOMS = ("ebpf.object_errors", "ebpf.isa.codec", "maps.errors", "verifier.reports", "jit")


def _rejected() -> Rejected:
    with pytest.raises(Rejected) as rejected:
        Verifier({}).verify(PROGRAM)
    return rejected.value


ERRORS = (
    InputRefused("what", where=PLACE, hint="do this"),
    InputRefused("what", where=7),
    CannotRun("no memory"),
    ObjectError("damaged", where="x.o"),
    UnsupportedObject("maps of BTF", "it needs maps of BTF", where="x.o", hint="none"),
    CoreError("no such field", where="x.o"),
    DecodeError("bytes", slot=3, opcode=0xFF),
    DecodeError("the end", slot=3),
    EncodeError("too wide", index=4),
    MapRefused("m", MapType.HASH, "no entries", hint="have some"),
    KernelOnlyProgram(PROGRAM, "x.o"),
    NotCompilable("helper 7", where="p"),
    _rejected(),
    Unsupported(_rejected().report),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back(error: TidegateError) -> None:
    back = decode(Refusal, *encode(Refusal.of(error))).as_error()
    assert type(back) is type(error)
    assert (str(back), back.hint, back.exit_status) == (str(error), error.hint, error.exit_status)
    assert {name: getattr(back, name) for name in CROSSING[type(error)]} == {
        name: getattr(error, name) for name in CROSSING[type(error)]
    }
    assert isinstance(back.where, SourceLine) == isinstance(error.where, SourceLine)


def test_every_class_crosses() -> None:
    assert {type(error) for error in ERRORS} == CROSSING.keys()


def _classes() -> Iterator[type[TidegateError]]:
    """Those that are raised between an object and its code, by the rooms that they stand in."""
    for found in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if found.name.startswith(tuple(f"appliance.{room}" for room in ROOMS)):
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, type) and issubclass(value, InputRefused) and value.__module__ == found.name:
                    yield value


def test_the_table_is_total() -> None:
    assert set(_classes()) <= CROSSING.keys()


def test_a_class_of_another_room_comes_as_the_one_that_it_is_derived_from() -> None:
    class OfMine(ObjectError):
        pass

    assert Refusal.of(OfMine("mine")).error == "ObjectError"


def test_nothing_else_can_be_raised() -> None:
    with pytest.raises(Malformed, match="no refusal is called 'SystemExit'"):
        Refusal("SystemExit", "", None, None).as_error()


@requires("clang")
def test_a_rejection_tells_its_path(prover: Prover) -> None:
    source = 'SEC("xdp") int p(struct xdp_md *ctx) { return *(char *)(long)ctx->data; }'
    with pytest.raises(Rejected) as rejected:
        prover.build(BuildRequest(ObjectFile("p.o", compile_c(source)), "p", None, 1))
    report = rejected.value.report
    assert report.program == "p"
    assert report.path
    assert report.steps
    assert "how it came to that" in str(rejected.value)
