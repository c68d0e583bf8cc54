"""What a program knows of a call: numbers from its context and from helpers, read once, at its start.

struct bpf_sock_addr    user_ip4 / user_ip6, user_port in network order; protocol in host order
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection

from llvmlite import ir

from appliance.ir import I16, I32, I64, U32, Code, Value
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.sockets.families import MAPPED
from appliance.rules.sockets.layout import Program
from appliance.rules.sockets.model import Target
from hooks.contracts.sock_addr import SOCK_ADDR_LINUX

_HOOKS = {hook.name: hook for hook in SOCK_ADDR_LINUX}
WORD = ctypes.sizeof(ctypes.c_uint32)


class CallFields:
    """The fields of one program being written, by the names that matchers have for them. For one thread."""

    def __init__(self, module: BpfModule, code: Code, program: Program, names: Collection[str]) -> None:
        self.module = module
        self.code = code
        self.program = program
        self._places = {field.name: field.offset for field in _HOOKS[program.section].context.fields}
        self._values: dict[str, Value] = {}
        for name in ("port", "proto", "user"):
            if name in names:
                self._values[name] = getattr(self, f"_{name}")()
        for side in ("source", "destination"):
            if side in names:
                self._values |= self._address(side)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def _word(self, name: str, number: int = 0) -> U32:
        place = self.code.at(self.code["context"], self._places[name] + WORD * number)
        word: U32 = self.code.load(place, I32, align=WORD)
        return word

    def _port(self) -> Value:
        return self.code.swap_bytes(self.code.resize(self._word("user_port"), I16))

    def _proto(self) -> Value:
        return self._word("protocol")

    def _user(self) -> Value:
        return self.code.resize(self.module.helper(self.code, "get_current_uid_gid"), I32)

    def _address(self, side: str) -> dict[str, Value]:
        """The halves that `Matching.family` asks for; an IPv4 address is the lower one."""
        code = self.code
        if self.program.version == 4:
            low = code.resize(code.swap_bytes(self._word("user_ip4")), I64)
            return {f"{side}_high": ir.Constant(I64, 0), f"{side}_low": low}
        first, second, third, fourth = (
            code.resize(code.swap_bytes(self._word("user_ip6", number)), I64) for number in range(4)
        )
        return {
            f"{side}_high": code.or_(code.shl(first, 32), second),
            f"{side}_low": code.or_(code.shl(third, 32), fourth),
        }

    def send_to(self, target: Target) -> None:
        """Write the target into the context."""
        if target.address is not None:
            mapped = self.program.version == 6 and target.family == 4
            address = target.address | MAPPED if mapped else target.address
            size = 4 if self.program.version == 4 else 16
            self._write(f"user_ip{self.program.version}", address.to_bytes(size, "big"))
        if target.port is not None:
            self._write("user_port", target.port.to_bytes(2, "big").ljust(WORD, b"\0"))

    def _write(self, name: str, data: bytes) -> None:
        """By words: a kernel takes no narrower ones, and wider ones not everywhere."""
        for offset in range(0, len(data), WORD):
            number = ir.Constant(I32, int.from_bytes(data[offset : offset + WORD], "little"))
            place = self.code.at(self.code["context"], self._places[name] + offset)
            self.code.store(number, place, align=WORD)
