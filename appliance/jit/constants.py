"""Constants of 64 bits. A map is the address of its memory: a symbol, until the code is linked."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import LoadConstant, LoadMap, LoadMapValue
from appliance.helpers.native.call import MapSite
from appliance.ir import I64
from appliance.jit.subprogram import Subprogram


def emit_constant(sub: Subprogram, _index: int, constant: LoadConstant) -> None:
    sub.write(constant.dst, sub.code.value(constant.value, I64))


def emit_map(sub: Subprogram, index: int, load: LoadMap) -> None:
    address = _site(sub, index, load.map).address
    if address is None:
        raise sub.refusal(f"the address of map {load.map}, which only lookups give", index)
    sub.write(load.dst, sub.code.integer(address))


def emit_map_value(sub: Subprogram, index: int, load: LoadMapValue) -> None:
    """A global variable: its map is an array, whose values stand in memory one after the other."""
    site = _site(sub, index, load.map)
    if site.values is None:
        raise sub.refusal(f"the address of a value of map {load.map}, which is no array", index)
    sub.write(load.dst, sub.code.integer(sub.code.at(site.values, load.offset)))


def _site(sub: Subprogram, index: int, name: str) -> MapSite:
    if name not in sub.plan.maps:
        raise sub.refusal(f"map {name}, which was not given", index)
    return sub.plan.maps[name]
