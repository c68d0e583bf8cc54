"""Options of IPv4 and TCP as the parser finds them, against a plain walk from option to option."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from appliance.box.dissection import Dissection
from appliance.datapath.captures import Capture
from appliance.rules.layers import IP_OPTION_WORDS
from appliance.rules.values import IP_OPTION

FRAMES = 3000
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
_KINDS = (0, 1, 2, 3, 4, 7, 8, 68, 63, 64, 127, 128, 131, 137, 148, 191, 192, 255)


def random_options(chance: random.Random) -> bytes:
    """Whole ones, and then what begins well or not at all; a multiple of 4 bytes, 40 at most."""
    found = b""
    while chance.random() < 0.8 and len(found) < 40:
        kind = chance.choice(_KINDS)
        size = chance.choice((2, 3, 3, 4, 4, 10, chance.randrange(256)))
        found += bytes([kind]) if kind == 1 else bytes([kind, size]) + chance.randbytes(max(size - 2, 0))
    found = found[:40]
    return found + bytes(-len(found) % 4)


def options(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and data of each, as RFC 791 and RFC 9293 say."""
    at = 0
    while at < len(header):
        kind = header[at]
        if kind <= 1:
            yield kind, b""
            at += 1
        else:
            size = header[at + 1] if at + 1 < len(header) else 0
            if size < 2 or at + size > len(header):
                return
            yield kind, header[at + 2 : at + size]
            at += size
        if kind == 0:
            return


def frame(ip: bytes, tcp: bytes) -> bytes:
    segment = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, (20 + len(tcp)) << 2, 2, 0, 0, 0) + tcp
    size = 20 + len(ip)
    header = struct.pack("!BBHHHBBHII", 0x40 | size >> 2, 0, size + len(segment), 0, 0, 64, 6, 0, 1, 2)
    return _ETHERNET + header + ip + segment


def test_what_is_found_is_what_a_plain_walk_finds() -> None:
    chance = random.Random(7)
    given = [(random_options(chance), random_options(chance)) for _ in range(FRAMES)]
    with Dissection() as dissection, Capture.of([frame(*each) for each in given], "options") as capture:
        dissected = list(dissection.frames(capture))
    for (ip, tcp), found in zip(given, dissected, strict=True):
        assert found.malformed is None
        words = [found[name] for name in IP_OPTION_WORDS]
        assert IP_OPTION.types(words) == tuple(sorted({kind for kind, _ in options(ip)})), ip.hex()
        assert found["ip.options"] == bool(ip)
        known = dict(options(tcp))  # of those that are there twice the last one
        for name, kind in (("mss", 2), ("wscale", 3), ("sack_perm", 4), ("timestamp", 8)):
            assert found[f"tcp.options.{name}"] == (kind in known), tcp.hex()
        sizes = [struct.unpack("!H", data)[0] for kind, data in options(tcp) if kind == 2 and len(data) == 2]
        assert found["tcp.options.mss_val"] == (sizes or [0])[-1], tcp.hex()


def test_types_as_words_and_back() -> None:
    assert IP_OPTION.words(((0, 0), (63, 64), (131, 131), (255, 255))) == (1 | 1 << 63, 1, 1 << 3, 1 << 63)
    assert IP_OPTION.types(IP_OPTION.words(((7, 9), (148, 148)))) == (7, 8, 9, 148)
