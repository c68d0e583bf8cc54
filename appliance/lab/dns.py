"""The smallest useful piece of DNS: one question for an A record and its answer (RFC 1035, section 4)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

_HEADER = struct.Struct("!HHHHHH")  # id, flags, questions, answers, authorities, additionals
_RECORD = struct.Struct("!HHHIH")  # name (a pointer), type, class, time to live, length of the data
_A_IN = struct.pack("!HH", 1, 1)
_QUESTION_NAME = 0xC000 | _HEADER.size  # "the name that stands in the question"
ANSWERS = IPv4Address("192.0.2.0")


def query(number: int) -> bytes:
    """A question for `h<number>.lab.test`; its id is the number, modulo 2**16."""
    return _HEADER.pack(number & 0xFFFF, 0x0100, 1, 0, 0, 0) + _name(number) + _A_IN


def answer(question: bytes) -> bytes | None:
    """The server's answer; None if this is no such question. The address depends on the name."""
    if len(question) < _HEADER.size + 2 or not question.endswith(_A_IN):
        return None
    identity, flags, questions, *_ = _HEADER.unpack_from(question)
    label = question[_HEADER.size + 1 : _HEADER.size + 1 + question[_HEADER.size]]
    if flags != 0x0100 or questions != 1 or not (label[:1] == b"h" and label[1:].isdigit()):
        return None
    head = _HEADER.pack(identity, 0x8180, 1, 1, 0, 0)
    record = _RECORD.pack(_QUESTION_NAME, 1, 1, 60, 4) + (ANSWERS + int(label[1:]) % 256).packed
    return head + question[_HEADER.size :] + record


def _name(number: int) -> bytes:
    labels = (f"h{number}".encode(), b"lab", b"test")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
