"""`OBJ.approved`: what goes in comes out, and no byte of it can be another one unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.approval.container import MAGIC, ApprovedFile, is_approved_file
from appliance.box.approval.envelope import Approval
from appliance.box.approval.files import FileRefused
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.reasons import NotApproved
from appliance.box.approval.statements.forms import Malformed
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from tests.appliance.box.approval.conftest import NOW


@pytest.fixture(scope="module")
def whole(approval: Approval, request_: BuildRequest, built: Built) -> bytes:
    return ApprovedFile(approval, request_, built).to_bytes()


def check(data: bytes, key: PrivateKey) -> None:
    """As whoever runs it does. Raises Malformed, NotApproved."""
    file = ApprovedFile.of_bytes(data, "filter.approved")
    Trust([TrustedKey(key.public)]).check(file.approval, file.built, file.request, NOW)


def test_what_goes_in_comes_out(
    whole: bytes, key: PrivateKey, approval: Approval, request_: BuildRequest, built: Built
) -> None:
    file = ApprovedFile.of_bytes(whole, "filter.approved")
    assert file.approval == approval
    assert file.built.images == built.images
    assert [program.facts for program in file.built.programs] == [program.facts for program in built.programs]
    assert file.request.object.data == request_.object.data
    assert file.request.called[0].object.data == request_.called[0].object.data
    assert (file.request.inward, file.request.outward, file.request.workers) == ("main", None, 2)
    assert file.to_bytes() == whole
    check(whole, key)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_every_flipped_bit_is_refused(data: st.DataObject, whole: bytes, key: PrivateKey) -> None:
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Malformed, NotApproved)):
        check(bytes(flipped), key)


def test_a_flipped_bit_in_every_part_of_it_is_refused(whole: bytes, key: PrivateKey) -> None:
    """The first, a middle and the last byte of the head, of each length, and of each part."""
    file = ApprovedFile.of_bytes(whole, "filter.approved")
    sizes = [len(MAGIC), 4]
    parts = [file.approval.to_bytes(), b"an object", b"another object", *(each.data for each in file.built.images)]
    sizes += [8] * len(parts) + [len(part) for part in parts]
    assert sum(sizes) == len(whole)
    at = 0
    for size in sizes:
        for place in {at, at + size // 2, at + size - 1}:
            flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            with pytest.raises((Malformed, NotApproved)):
                check(flipped, key)
        at += size


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_cut_or_longer_is_refused(data: st.DataObject, whole: bytes, key: PrivateKey) -> None:
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Malformed, match="no approval that can be read"):
        check(whole[:size], key)
    with pytest.raises(Malformed):
        check(whole + bytes(1 + size % 64), key)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, MAGIC + noise, MAGIC + b"\x02\0\0\0" + noise):
        with pytest.raises(Malformed):
            ApprovedFile.of_bytes(data, "noise")


def test_objects_that_change_places_are_refused(
    approval: Approval, request_: BuildRequest, built: Built, key: PrivateKey
) -> None:
    called = replace(request_.called[0], object=request_.object)
    swapped = replace(request_, object=request_.called[0].object, called=(called,))
    with pytest.raises(NotApproved, match="another object"):
        check(ApprovedFile(approval, swapped, built).to_bytes(), key)


def test_a_file_on_the_disk(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "filter.approved"
    path.write_bytes(whole)
    path.chmod(0o644)
    assert ApprovedFile.load(path).request.object.source == str(path)
    assert is_approved_file(path.read_bytes()[:8])
    path.chmod(0o666)
    with pytest.raises(FileRefused, match="others may change it"):
        ApprovedFile.load(path)
    link = tmp_path / "link.approved"
    link.symlink_to(path)
    with pytest.raises(FileRefused, match="symbolic link"):
        ApprovedFile.load(link)
