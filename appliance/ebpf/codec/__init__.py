"""Between raw slots and semantic instructions: the only code that sees an opcode's bits (RFC 9669)."""

from appliance.ebpf.codec.decoder import decode
from appliance.ebpf.codec.encoder import EncodeError, encode
from appliance.ebpf.codec.slots import (
    DecodeError,
    FunctionReference,
    MapReference,
    MapValueReference,
    Reference,
    Slot,
)

__all__ = [
    "DecodeError",
    "EncodeError",
    "FunctionReference",
    "MapReference",
    "MapValueReference",
    "Reference",
    "Slot",
    "decode",
    "encode",
]
