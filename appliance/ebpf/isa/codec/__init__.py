"""Between raw slots and semantic instructions: the only code that sees an opcode's bits (RFC 9669)."""

from appliance.ebpf.isa.codec.decoder import decode
from appliance.ebpf.isa.codec.encoder import EncodeError, encode
from appliance.ebpf.isa.codec.slots import (
    ConstantReference,
    DecodeError,
    FunctionReference,
    KernelFunctionReference,
    MapReference,
    MapValueReference,
    Reference,
    Slot,
)

__all__ = [
    "ConstantReference",
    "DecodeError",
    "EncodeError",
    "FunctionReference",
    "KernelFunctionReference",
    "MapReference",
    "MapValueReference",
    "Reference",
    "Slot",
    "decode",
    "encode",
]
