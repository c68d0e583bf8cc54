"""What each instruction does to the state, its demands being met: a table by instruction type, read by `explore`.

Branches are not here: they do nothing but choose, and what the choice teaches is in `branches`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from appliance.ebpf.isa.instructions import (
    Alu,
    Atomic,
    ByteSwap,
    CallHelper,
    LegacyPacketLoad,
    Load,
    LoadConstant,
    LoadFunction,
    LoadMap,
    LoadMapValue,
    Move,
    Negate,
    Store,
)
from appliance.verifier.checks.arithmetic_transfer import apply_alu, apply_byte_swap, apply_move, apply_negate
from appliance.verifier.checks.calls.effects import apply_call
from appliance.verifier.checks.memory_transfer import apply_atomic, apply_legacy, apply_load, apply_store
from appliance.verifier.domains import scalar
from appliance.verifier.domains.values import Kind, Pointer
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State

Transfer: TypeAlias = Callable[[Environment, State, int, Any], None]


def _constant(environment: Environment, state: State, index: int, i: LoadConstant) -> None:
    state.set(i.dst, scalar.constant(i.value))


def _map(environment: Environment, state: State, index: int, i: LoadMap) -> None:
    state.set(i.dst, Pointer(Kind.MAP, map=i.map))


def _map_value(environment: Environment, state: State, index: int, i: LoadMapValue) -> None:
    state.set(i.dst, Pointer(Kind.MAP_VALUE, i.offset, map=i.map))


def _function(environment: Environment, state: State, index: int, i: LoadFunction) -> None:
    state.set(i.dst, Pointer(Kind.FUNCTION, id=i.target))


def _call(environment: Environment, state: State, index: int, i: CallHelper) -> None:
    apply_call(environment, state, index, i)


TRANSFERS: dict[type, Transfer] = {
    Alu: apply_alu,
    Move: apply_move,
    Negate: apply_negate,
    ByteSwap: apply_byte_swap,
    Load: apply_load,
    Store: apply_store,
    Atomic: apply_atomic,
    LoadConstant: _constant,
    LoadMap: _map,
    LoadMapValue: _map_value,
    LoadFunction: _function,
    CallHelper: _call,
    LegacyPacketLoad: apply_legacy,
}
