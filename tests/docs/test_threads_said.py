"""Every public class says in its docstring which threads may use it.

Values are for any thread by rule, and need not say so: enumerations, exceptions, tuples, protocols, dataclasses and
models that are frozen. A structure of ctypes is a layout of memory: who may touch that, its owner says.
"""

from __future__ import annotations

import ast
import ctypes
import dataclasses
import enum
import importlib
import re
from collections.abc import Iterator

from pydantic import BaseModel

from tests.test_architecture import modules

SAID = re.compile(r"\bthreads?\b", re.IGNORECASE)
VALUES = (enum.Enum, BaseException, tuple, ctypes.Structure, ctypes.Union)


def public_classes() -> Iterator[type]:
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield getattr(importlib.import_module(name), node.name)


def is_value(found: type) -> bool:
    if dataclasses.is_dataclass(found):
        return found.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if issubclass(found, BaseModel):
        return found.model_config.get("frozen", False)
    return issubclass(found, VALUES) or getattr(found, "_is_protocol", False)


def test_every_class_says_for_which_threads_it_is() -> None:
    wanted = [found for found in public_classes() if not is_value(found)]
    assert len(wanted) > 150
    silent = [f"{found.__module__}.{found.__name__}" for found in wanted if not SAID.search(found.__doc__ or "")]
    assert silent == [], "say it in the docstring: `For one thread.`, `Any thread.`, or what holds"


def test_values_are_told_from_what_changes() -> None:
    @dataclasses.dataclass
    class Changes:
        count: int

    @dataclasses.dataclass(frozen=True)
    class Stays:
        count: int

    assert not is_value(Changes)
    assert is_value(Stays)
    assert not is_value(object)
    assert is_value(enum.IntEnum)
