"""One small build, true of this machine in every respect, and keys to sign it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from llvmlite import ir

from appliance.box.approval.envelope import Approval, sign
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.statements.claim import Claim
from appliance.box.approval.statements.statement import Statement
from appliance.box.approval.tables import Tables
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.built import Built, Image, ProvedProgram
from appliance.box.proving.request import BuildRequest, CalledObject, ObjectFile
from appliance.ir import compile_module
from appliance.ir.symbols import external, memory
from appliance.ir.types import I32, I64, PTR

NOW = 1_800_000_000
DAY = 86_400


def digest_like(letter: str) -> str:
    return letter * 64


def image(*symbols: str, calls: str = "getpid", exports: str = "batch") -> bytes:
    """Machine code that names these symbols and a function of the C library."""
    module = ir.Module("tried")
    function = ir.Function(module, ir.FunctionType(I64, [PTR]), exports)
    builder = ir.IRBuilder(function.append_basic_block())
    for symbol in symbols:
        builder.store(memory(module, symbol, 64), function.args[0])
    builder.ret(builder.zext(builder.call(external(module, calls, I32), []), I64))
    return compile_module(module).image


def make_request() -> BuildRequest:
    called = CalledObject(7, "main", ObjectFile("stage.o", b"another object"))
    return BuildRequest(ObjectFile("filter.o", b"an object"), "main", None, 2, (called,))


def make_built() -> Built:
    tables = Tables.here()
    linux = tables.platforms["linux"]
    lookup = "map.hash.k4.v8.f0.p2.control.lookup"
    return Built(
        platform="linux",
        programs=(
            ProvedProgram(
                name="main",
                hook="xdp",
                bytecode=digest_like("a"),
                facts=digest_like("b"),
                instructions=12,
                helpers=("map_lookup_elem",),
                tail_call_maps=("steps",),
                body="main.body",
                seconds=0.5,
            ),
        ),
        images=(
            Image("programs", image("memory.flows", lookup), ("batch",), ("memory.flows", lookup)),
            Image("hash", image(exports=lookup), (lookup,), ()),
        ),
        prototypes={
            "helpers": linux.helpers,
            "hook.xdp": linux.hooks["xdp"],
            "map.flows": digest_like("c"),
            "map.steps": digest_like("d"),
        },
        versions=tables.versions,
        processor=tables.processor,
        verify_seconds=0.5,
        compile_seconds=0.25,
    )


@pytest.fixture(scope="session")
def request_() -> BuildRequest:
    return make_request()


@pytest.fixture(scope="session")
def built() -> Built:
    return make_built()


@pytest.fixture(scope="session")
def key() -> PrivateKey:
    return PrivateKey.generate()


@pytest.fixture(scope="session")
def claim(request_: BuildRequest, built: Built) -> Claim:
    return Claim.of(request_, built)


@pytest.fixture(scope="session")
def statement(claim: Claim) -> Statement:
    return Statement(claim, NOW * 1_000_000, NOW, NOW + 90 * DAY)


@pytest.fixture(scope="session")
def approval(statement: Statement, key: PrivateKey) -> Approval:
    return sign(statement, [key])


@pytest.fixture
def trust(key: PrivateKey) -> Trust:
    return Trust([TrustedKey(key.public)])


Signed = Callable[..., Approval]


@pytest.fixture
def signed(statement: Statement, key: PrivateKey) -> Signed:
    """The statement with other fields of the claim, signed all the same: by a keeper that looks at nothing."""

    def make(*, by: PrivateKey = key, serial: int = statement.serial, **changed: Any) -> Approval:
        return sign(replace(statement, serial=serial, claim=replace(statement.claim, **changed)), [by])

    return make


@pytest.fixture
def key_file(tmp_path: Path, key: PrivateKey) -> Path:
    path = tmp_path / "key.pem"
    key.save(path)
    return path
