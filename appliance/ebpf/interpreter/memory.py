"""Steps that touch memory: loads, stores, atomics, packets, maps. Every access is its region's to allow."""

from __future__ import annotations

from appliance.ebpf.interpreter.arithmetic import ATOMICS, MASKS, signed
from appliance.ebpf.interpreter.machine import FINISHED, Machine
from appliance.ebpf.interpreter.maps import MapHandle
from appliance.ebpf.interpreter.operands import (
    Step,
    constant_or_register,
    needs_number,
    needs_pointer,
    unfit,
    unwritten,
)
from appliance.ebpf.interpreter.regions import Pointer
from appliance.ebpf.interpreter.violation import Violation
from appliance.ebpf.isa.instructions import Atomic, LegacyPacketLoad, Load, LoadMap, LoadMapValue, Store
from appliance.ebpf.isa.opcodes import AtomicOp


def load(i: Load, following: int) -> Step:
    size, dst, base, offset = i.size, i.dst, i.base, i.offset

    def plain(machine: Machine) -> int:
        registers = machine.registers
        pointer = registers[base]
        if pointer.__class__ is not Pointer:
            raise unfit(pointer, base, "a pointer")
        registers[dst] = pointer.region.load(pointer.offset + offset, size)
        return following

    def extended(machine: Machine) -> int:
        pointer = needs_pointer(machine.registers[base], base)
        value = needs_number(pointer.region.load(pointer.offset + offset, size), dst)
        machine.registers[dst] = signed(value, size * 8) & MASKS[64]
        return following

    return extended if i.signed else plain


def store(i: Store, following: int) -> Step:
    size, base, offset = i.size, i.base, i.offset
    register, constant = constant_or_register(i.source, 64)

    def step(machine: Machine) -> int:
        registers = machine.registers
        value = constant if register < 0 else registers[register]
        pointer = needs_pointer(registers[base], base)
        if value is None:
            raise unwritten(register)
        pointer.region.store(pointer.offset + offset, size, value)
        return following

    return step


def atomic(i: Atomic, following: int) -> Step:
    size, base, offset, src = i.size, i.base, i.offset, i.src
    fetched = (0 if i.op is AtomicOp.CMPXCHG else src) if i.fetch else -1
    mask = (1 << size * 8) - 1

    def step(machine: Machine) -> int:
        registers = machine.registers
        pointer = needs_pointer(registers[base], base)
        operand = needs_number(registers[src], src)
        place = pointer.offset + offset
        old = pointer.region.load(place, size)
        if not isinstance(old, int):
            raise Violation("an atomic operation on a pointer", pointer.region.name, place)
        if i.op is AtomicOp.CMPXCHG:
            new = operand if old == needs_number(registers[0], 0) & mask else old
        else:
            new = ATOMICS[i.op](old, operand)
        pointer.region.store(place, size, new & mask)
        if fetched >= 0:
            registers[fetched] = old
        return following

    return step


def legacy_load(i: LegacyPacketLoad, following: int) -> Step:
    size, offset, index = i.size, i.offset, i.index

    def step(machine: Machine) -> int:
        if machine.context is None:
            raise Violation("a packet load works on a packet, and there is none here")
        registers, packet = machine.registers, machine.context.packet
        start = offset + (0 if index is None else signed(needs_number(registers[index], index), 32))
        if start < 0 or start + size > packet.data_end - packet.data:
            registers[0] = 0  # these loads check themselves: beyond the packet, the program ends with 0
            return FINISHED
        content = packet.region.read(start, size)
        registers[:6] = [int.from_bytes(content, "big"), None, None, None, None, None]
        return following

    return step


def load_map(i: LoadMap, following: int) -> Step:
    dst, name = i.dst, i.map

    def step(machine: Machine) -> int:
        machine.registers[dst] = MapHandle(machine.map_named(name))
        return following

    return step


def load_map_value(i: LoadMapValue, following: int) -> Step:
    dst, name, offset = i.dst, i.map, i.offset

    def step(machine: Machine) -> int:
        map_ = machine.map_named(name)
        value = map_.lookup(bytes(map_.spec.key_size))
        if value is None:
            raise Violation(f"the map {name!r} has no value 0")
        machine.registers[dst] = machine.value_pointer(map_, value, offset)
        return following

    return step
