"""Whoever copies itself copies all of itself: a field that a copy forgets is a proof that forgets what it knew."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import appliance.verifier
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.program import Access, CallFacts, Region
from appliance.verifier.state.environment import Environment, FactsRecorder
from appliance.verifier.state.state import State
from hooks.contracts.xdp import XDP_LINUX

# How one of the class is made, where it is not made of nothing.
MADE: dict[type, Callable[[], Any]] = {State: State.entry}


def copying_classes() -> Iterator[type]:
    """Every class of the verifier that has a `copy` of its own."""
    for module in pkgutil.walk_packages(appliance.verifier.__path__, "appliance.verifier."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if found.__module__ == module.name and "copy" in vars(found):
                yield found


def fields_of(one: object) -> list[str]:
    """The names of all that it consists of."""
    slots = [name for base in type(one).__mro__ for name in getattr(base, "__slots__", ())]
    return [*slots, *getattr(one, "__dict__", {})]


def changed(value: Any) -> Any:
    """Another value of the same shape."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case list():
            return [*value, []]
        case set():
            return {*value, 7}
        case dict():
            return {**value, 7: []}
        case _ if hasattr(value, "copy") and fields_of(value):
            return altered(value)
    return object()


def altered(one: Any) -> Any:
    """The same one, of which nothing is as it was made."""
    for name in fields_of(one):
        setattr(one, name, changed(getattr(one, name)))
    return one


def is_same(a: Any, b: Any) -> bool:
    """Whether both consist of the same."""
    if type(a) is type(b) and "copy" in vars(type(a)) and fields_of(a):
        return all(is_same(getattr(a, name), getattr(b, name)) for name in fields_of(a))
    return bool(a == b)


@pytest.mark.parametrize("kind", list(copying_classes()), ids=lambda kind: kind.__name__)
def test_a_copy_has_every_field(kind: type) -> None:
    one = altered(MADE.get(kind, kind)())
    forgotten = [name for name in fields_of(one) if not is_same(getattr(one, name), getattr(one.copy(), name))]
    assert forgotten == []


def test_all_that_copies_itself_is_looked_at() -> None:
    assert {"State", "FactsRecorder", "StackRecorder", "Frames", "Sight"} <= {
        kind.__name__ for kind in copying_classes()
    }


def test_what_is_judged_stays_judged_when_notes_are_taken_back() -> None:
    """Paths that call on another map, or with another text, are refused where programs are compiled, and only there."""
    spec = ProgramSpec("p", "xdp", XDP_LINUX, assemble("r0 = 2\nexit"))
    environment = Environment(spec, {}, {}, LINUX, FactsRecorder(never_runs=True))
    environment.forget(environment.notes())
    environment.facts.call(0, CallFacts("trace_printk", (), (Access(Region.STACK),), text=b"one\0"))
    environment.facts.call(0, CallFacts("trace_printk", (), (Access(Region.STACK),), text=b"two\0"))
    assert environment.facts.facts().calls[0].text is None
