"""What a zygote is told of trust is all of it that a check asks."""

from __future__ import annotations

import pytest

from appliance.box.approval.config import Mode
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.processes.terms import terms_of, trust_by
from appliance.box.proving.records import Malformed


def trust() -> Trust:
    own, other = PrivateKey.generate().public, PrivateKey.generate().public
    keys = [TrustedKey(own, own=True), TrustedKey(other, 1_700_000_000, 1_800_000_000)]
    revoked = Revocations(frozenset({own.id}), frozenset({other.id}), {other.id: 17})
    return Trust(keys, mode=Mode.WARN, revoked=revoked)


def test_the_other_side_trusts_the_same() -> None:
    told = trust()
    heard = trust_by(terms_of(told))
    assert (heard.mode, heard.keys, heard.revoked) == (told.mode, told.keys, told.revoked)


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_half_of_it_is_nothing(cut: int) -> None:
    with pytest.raises(Malformed):
        trust_by(terms_of(trust())[:-cut])
