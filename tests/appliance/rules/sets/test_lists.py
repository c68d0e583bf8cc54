"""Lists as others publish them: every format, in samples of what is really out there, and what is wrong with a list."""

from __future__ import annotations

import gzip
import ipaddress
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InputRefused
from appliance.rules.sets import lists
from appliance.rules.sets.contents import Packer, pack_prefixes
from appliance.rules.sets.elements import ElementType
from appliance.rules.sets.lists import list_elements, read_list
from appliance.rules.values import SetType

PREFIXES = ElementType((SetType.PREFIX,))

FIREHOL = """\
#
# firehol_level1
#
# ipv4 hash:net ipset
#
# Source URL  : https://iplists.firehol.org/?ipset=firehol_level1
# Entries     : 3 subnets, 66561 unique IPs

1.10.16.0/20
5.188.10.0/23
223.254.0.0/16
"""
DROP = """\
; Spamhaus DROP List 2026/11/30 - (c) 2026 The Spamhaus Project SLU
; https://www.spamhaus.org/drop/drop.txt
; Expires: Tue, 01 Dec 2026 08:42:58 GMT
1.10.16.0/20 ; SBL256894
5.188.10.0/23 ; SBL402809
223.254.0.0/16 ; SBL212803
"""
DROP_JSON = """\
{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}
{"cidr":"5.188.10.0/23","sblid":"SBL402809","rir":"ripencc"}
{"cidr":"223.254.0.0/16","sblid":"SBL212803","rir":"apnic"}
{"type":"metadata","timestamp":1764489600,"size":3,"records":3,"copyright":"(c) 2026 The Spamhaus Project SLU"}
"""
DSHIELD = """\
#   DShield.org Recommended Block List
#   (c) 2026 DShield.org
#
#    primary URL: https://feeds.dshield.org/block.txt
#
Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail
1.10.16.0\t1.10.31.255\t20\t3012\tEXAMPLE-AS - \u00c5ngstr\u00f6m AB\tSE\tabuse@example.net
5.188.10.0\t5.188.11.255\t23\t2800\t\t\t
223.254.0.0\t223.254.255.255\t16\t1\tX\tCN\t
"""
IPSET = """\
create blocklist hash:net family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x5a2e
add blocklist 1.10.16.0/20
add blocklist 5.188.10.0/23 timeout 3600 comment "seen twice"
add blocklist 223.254.0.0/16
"""
RANGES = "1.10.16.0-1.10.31.255\r\n5.188.10.0 - 5.188.11.255\t# two /24\r\n\r\n223.254.0.0-223.254.255.255"


def read(path: Path, type_: ElementType = PREFIXES) -> tuple[set[bytes], list[str]]:
    """The keys, and what was told, without the file's folder."""
    packer = Packer(type_)
    told: list[InputRefused] = []
    read_list(path, packer, told.append)
    contents = packer.contents()
    keys = {
        contents.keys[part][at : at + part.key_size]
        for part in type_.parts
        for at in range(0, len(contents.keys[part]), part.key_size)
    }
    return keys, [str(defect).replace(f"{path.parent}/", "") for defect in told]


@pytest.mark.parametrize("text", [FIREHOL, DROP, DROP_JSON, DSHIELD, IPSET, RANGES, "\ufeff" + FIREHOL])
@pytest.mark.parametrize("packed", [False, True], ids=["text", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_same_prefixes_in_every_format(tmp_path: Path, text: str, packed: bool, encoding: str) -> None:
    data = text.encode(encoding if "\ufeff" not in text else "utf-8")
    path = tmp_path / "list"
    path.write_bytes(gzip.compress(data) if packed else data)
    wanted = [b"\x14\0\0\0\x01\x0a\x10\0", b"\x17\0\0\0\x05\xbc\x0a\0", b"\x10\0\0\0\xdf\xfe\0\0"]
    assert read(path) == (set(wanted), [])
    places = [place.line for _, place in list_elements(path, pytest.fail)]
    assert len(places) == 3 and places == sorted(places)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing today\n", "; nothing\n;\n", "create x hash:ip family inet\n"])
def test_a_list_may_be_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(text)
    assert read(path) == (set(), [])


def test_lists_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    samples = {
        (SetType.PORT,): ("22\n80-81 # web\n", {b"\x10\0\0\0\0\x16", b"\x0f\0\0\0\0\x50"}),
        (SetType.MAC,): ("create m hash:mac\nadd m 02:00:5E:10:00:01\n", {b"\x30\0\0\0\x02\0\x5e\x10\0\x01"}),
        (SetType.NUMBER,): ("0x10\n", {b"\x20\0\0\0\0\0\0\x10"}),
        (SetType.PREFIX, SetType.PORT): ("add s 192.0.2.1,80\n", {b"\x30\0\0\0\0\x50\xc0\0\x02\x01"}),
    }
    for types, (text, keys) in samples.items():
        path.write_text(text)
        assert read(path, ElementType(types)) == (keys, []), types


def test_every_mistake_is_told_with_its_line_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("192.0.2.1\n  192.0.2.1/24 # sloppy\nexample.org\n192.0.2.9-192.0.2.1\n192.0.2.1-2001:db8::1\n")
    keys, told = read(path)
    assert keys == {b"\x20\0\0\0\xc0\0\x02\x01"}
    assert told == [
        "bad.txt:2:3: 192.0.2.1/24 has bits set behind its prefix\n"
        "  hint: the network is 192.0.2.0/24, one host 192.0.2.1",
        "bad.txt:3:1: 'example.org' isn't an IP prefix\n"
        "  hint: write an address like 192.0.2.1 or a prefix like 192.0.2.0/24 or 2001:db8::/32",
        "bad.txt:4:1: the range 192.0.2.9-192.0.2.1 is backwards\n  hint: write 192.0.2.1-192.0.2.9",
        "bad.txt:5:1: '192.0.2.1-2001:db8::1' isn't a range of addresses\n"
        "  hint: write two addresses of one family: 192.0.2.1-192.0.2.9",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add s 192.0.2.1\ndel s 192.0.2.2\n", "2:1: 'del s 192.0.2.2' isn't a line of `ipset save`"),
        ("create s hash:net\nadd s 10.0.0.0/8 nomatch\n", "2:1: 10.0.0.0/8 is an exception (nomatch)"),
        ("add s 192.0.2.1\nadd s 192.0.2.300\n", "2:1: '192.0.2.300' isn't an IP prefix"),
        ("1.2.3.0\t1.2.3.255\t24\nnonsense\n", "2:1: 'nonsense' isn't a line of DShield's"),
        ('{"cidr":"1.2.3.0/24"}\n{"cidr":\n', "2:1: this isn't JSON: "),
        ('{"cidr":"1.2.3.0/24"}\n{"ip":"1.2.3.4"}\n', '2:1: there is no "cidr" in this object'),
        ('{"cidr":"1.2.3.0/24"}\n["1.2.3.4"]\n', "2:1: this isn't a JSON object"),
    ],
)
def test_a_line_that_is_none_of_the_formats(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list"
    path.write_text(text)
    _, (told,) = read(path)
    assert told.startswith(f"list:{message}") and "\n  hint: " in told


def test_what_concerns_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list"
    assert read(path)[1] == ["list: can't read the file: no such file or directory"]
    path.write_bytes(gzip.compress(FIREHOL.encode())[:-20])
    assert read(path)[1] == [
        "list: the gzip file is damaged: Compressed file ended before the end-of-stream marker was reached\n"
        "  hint: fetch it again"
    ]
    monkeypatch.setattr(lists, "BLOCK", 64)
    path.write_text("192.0.2.1\n" + "x" * 200)
    assert read(path)[1] == ["list: line 2 has more than 64 bytes\n  hint: is this a list?"]
    path.write_text("<html>\n" * 30)
    told = read(path)[1]
    assert told[0].startswith("list:1:1: '<html>' isn't an IP prefix")
    assert told[-1].startswith("list: 10 more lines of the list are wrong") and len(told) == lists.MOST_TOLD + 1


def test_blocks_cut_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "BLOCK", 50)
    choice = random.Random(3)
    networks = [ipaddress.IPv6Network((choice.getrandbits(128), 64), strict=False) for _ in range(40)]
    path = tmp_path / "list"
    for end in ("\n", "\r\n"):
        path.write_bytes(end.join(map(str, networks)).encode())
        keys, told = read(path)
        assert (len(keys), told) == (40, [])
        assert [place.line for _, place in list_elements(path, pytest.fail)] == list(range(1, 41))


WRONG = [
    "192.0.2.0/24/8",
    "192.0.2.0/24\n8.8.8.8",
    "192.0.2.0/24\n8.8.8.8/32",
    "::/1\n",
    "192.0.2.1/",
    "192.0.2.1/24",
    "192.0.2.0/33",
    "::1/129",
    "1.2.3",
    "x",
]
WRONG_RANGES = ["192.0.2.2-192.0.2.1", "::1-192.0.2.1", "1-2-3", "192.0.2.0/24-192.0.3.0"]


@pytest.mark.parametrize("wrong", [*WRONG, *WRONG_RANGES])
def test_in_bulk_nothing_wrong_passes(wrong: str) -> None:
    assert pack_prefixes(["192.0.2.0/24", "", "::/0"]) == (b"\x18\0\0\0\xc0\0\x02\0", b"\0\0\0\0" + bytes(16))
    assert pack_prefixes(["192.0.2.0-192.0.2.255", "::-::1"]) == (
        b"\x18\0\0\0\xc0\0\x02\0",
        b"\x7f\0\0\0" + bytes(16),
    )
    with pytest.raises((ValueError, OSError, KeyError)):
        pack_prefixes(["192.0.2.0/24", wrong])


def test_in_bulk_no_slash_stands_for_that_of_another() -> None:
    with pytest.raises((ValueError, OSError, KeyError)):
        pack_prefixes(["192.0.2.0/24/8.8.8.8", "32"])  # as many slashes as elements, and all words of a kind


def test_in_bulk_both_families_keep_their_order() -> None:
    v4, v6 = pack_prefixes(["::1", "192.0.2.1", "2001:db8::/32", "198.51.100.0/24", "203.0.113.9"])
    assert v4.hex(" ", 8) == "20000000c0000201 18000000c6336400 20000000cb007109"
    assert v6.hex(" ", 20) == f"80000000{1:032x} 20000000{0x20010DB8 << 96:032x}"


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 5000), st.booleans()), max_size=20))
def test_in_bulk_and_one_by_one_is_the_same(given_: list[tuple[int, int, bool]]) -> None:
    elements = []
    for first, more, is_prefix in given_:
        low, high = (str(ipaddress.IPv4Address(n)) for n in (first, min(first + more, 2**32 - 1)))
        length = more % 33
        network = ipaddress.IPv4Network((first >> (32 - length) << (32 - length), length))
        elements.append(str(network) if is_prefix else f"{low}-{high}")
    one_by_one = [key for element in elements for _, key in PREFIXES.keys(element)]
    v4, v6 = pack_prefixes(elements)
    assert sorted(v4[at : at + 8] for at in range(0, len(v4), 8)) == sorted(one_by_one)
    assert v6 == b""


TYPES = [(SetType.PREFIX,), (SetType.PORT,), (SetType.MAC,), (SetType.NUMBER,), (SetType.PREFIX, SetType.PORT)]
LINES = st.sampled_from(
    [
        b"192.0.2.1",
        b"2001:db8::/32",
        b"80-90",
        b"add s 1.2.3.4,80",
        b'{"cidr": "1.2.3.0/24"}',
        b"1.2.3.0\t1.2.3.9",
    ]
)


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists") / "list"


@given(
    st.lists(st.one_of(LINES, st.binary(max_size=40)), max_size=12).map(b"\n".join),
    st.sampled_from(TYPES),
    st.sampled_from([lambda data: data, gzip.compress, lambda data: lists.GZIP_MAGIC + data]),
)
def test_any_file_is_keys_or_messages(anything: Path, data: bytes, types: tuple[SetType, ...], packed: Any) -> None:
    anything.write_bytes(packed(data))
    type_ = ElementType(types)
    keys, told = read(anything, type_)
    assert all(len(key) in {part.key_size for part in type_.parts} for key in keys)
    assert all(message.startswith("list") for message in told)
