"""What machine code names, as its ELF object says, whatever its build says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.approval.image_symbols import undefined_symbols
from appliance.box.approval.statements.forms import Malformed
from tests.appliance.box.approval.conftest import image

CODE = image("memory.flows", calls="mprotect")


def test_what_it_names() -> None:
    assert undefined_symbols(CODE) == {"memory.flows", "mprotect"}


@pytest.mark.parametrize("data", [b"", b"\x7fELF", bytes(64), CODE[:63], CODE[:200], b"\x7fELF\x01" + CODE[5:]])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        undefined_symbols(data)


def test_a_program_is_no_object() -> None:
    with pytest.raises(Malformed, match="no relocatable"):
        undefined_symbols(CODE[:16] + b"\x02" + CODE[17:])


def test_a_name_that_is_empty_is_refused() -> None:
    with pytest.raises(Malformed, match="or is none"):
        undefined_symbols(CODE.replace(b"\0mprotect\0", b"\0\0protect\0"))


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_whatever_is_wrong_with_it_it_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(CODE)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = undefined_symbols(bytes(broken))
    except Malformed:
        return
    assert all(isinstance(name, str) and name for name in found)
