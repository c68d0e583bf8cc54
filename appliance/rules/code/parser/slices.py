"""Bytes at an offset, for the rules that ask for some: read where they are in the frame at all."""

from __future__ import annotations

from appliance.ir import I32, I64, U32, U64
from appliance.rules.code.parser.bits import read
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.headers import Header
from appliance.rules.slices import Slice


def parse_slices(cursor: Cursor) -> None:
    """Behind the other headers: every slice that some rule asks for."""
    code = cursor.code
    if cursor.fields.slices:
        cursor.settle()
    for name, wanted in cursor.fields.slices.items():
        start, length = _base(cursor, wanted)
        with (
            code.if_(code.compare(length, ">=", wanted.offset + wanted.size)),
            cursor.header_if_there(code.add(start, wanted.offset), Header("slice", wanted.size, 0)) as pointer,
        ):
            value = code.resize(read(code, pointer, Header("slice", wanted.size, 0)[0 : 8 * wanted.size]), I64)
            cursor.set(**{name: code.and_(value, wanted.mask)})


def _base(cursor: Cursor, wanted: Slice) -> tuple[U64, U32]:
    """Where its base begins, and how many bytes there are from there on. The padding behind an IP packet is none."""
    code = cursor.code
    if wanted.base == "payload":
        return cursor.payload.get(), cursor.payload_length.get()
    if wanted.base == "transport":
        is_here = code.compare(cursor.elsewhere.get(), "==", 0)
        return cursor.layer4.get(), code.select(is_here, cursor.layer4_length.get(), 0)
    rest = code.resize(cursor.left(cursor.layer3.get()), I32)
    is_ip = code.compare(cursor["version"], "!=", 0)
    return cursor.layer3.get(), code.select(is_ip, cursor["ip_length"], rest)
