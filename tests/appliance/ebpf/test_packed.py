"""Packed entries are a sequence of entries like any other."""

from __future__ import annotations

import pytest

from appliance.ebpf.packed import PackedEntries


def test_they_are_what_a_tuple_of_entries_is() -> None:
    packed = PackedEntries(b"aabbcc", 2, b"v")
    entries = [(b"aa", b"v"), (b"bb", b"v"), (b"cc", b"v")]
    assert (len(packed), list(packed), packed[1:], packed[-1]) == (3, entries, entries[1:], entries[2])
    assert (b"bb", b"v") in packed and (b"ab", b"v") not in packed
    with pytest.raises(IndexError):
        packed[3]
    assert packed == PackedEntries(b"aabbcc", 2, b"v") != PackedEntries(b"aabbcc", 3, b"v")
    assert hash(packed) == hash(PackedEntries(b"aabbcc", 2, b"v"))
    assert not PackedEntries(b"", 2, b"v")
