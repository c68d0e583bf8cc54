"""The names that others may build on. Whoever changes one of these lists changes what users wrote."""

from __future__ import annotations

import pytest

import appliance
from appliance import api
from appliance.cli.main import COMMANDS

PACKAGE = ["__version__", "open_object"]
API = [
    "Codec",
    "GracePeriodExpired",
    "Link",
    "Loaded",
    "LoadedProgram",
    "NoSuchName",
    "Object",
    "ObjectMap",
    "ObjectProgram",
    "PerfBuffer",
    "Pins",
    "RingBuffer",
    "RoutingTables",
    "TestRun",
    "TypedMap",
    "TypedQueue",
    "Types",
    "ValueUnfit",
    "WrongState",
    "make_dataclass",
    "open_object",
    "synchronize",
]
PROGRAM = [
    "approve",
    "check",
    "compile",
    "diff",
    "disasm",
    "exec",
    "explain",
    "guard",
    "inspect",
    "keygen",
    "lab",
    "replay",
    "run",
    "test-run",
    "verify",
]


def test_the_package() -> None:
    assert sorted(appliance.__all__) == PACKAGE
    assert appliance.open_object is api.open_object
    with pytest.raises(AttributeError, match="module 'appliance' has no attribute 'open_box'"):
        _ = appliance.open_box


def test_the_api() -> None:
    assert sorted(api.__all__) == API
    assert all(hasattr(api, name) for name in API)


def test_the_commands() -> None:
    assert sorted(COMMANDS) == PROGRAM
