"""What a datapath's process checks by, as its zygote is told it: public keys and what was revoked, and no file.

Trust ──terms_of──> Terms ──(once, before anything was read that others wrote)──> zygote ──trust_by──> Trust
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.box.approval.config import Mode
from appliance.box.approval.keys import PublicKey
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.records import decode, encode


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """A public key, and when it counts: see TrustedKey."""

    key: bytes
    not_before: int
    not_after: int
    own: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """See Trust."""

    mode: Mode
    keys: tuple[KeyTerms, ...]
    revoked_keys: tuple[str, ...]
    revoked_approvals: tuple[str, ...]
    revoked_serials: Mapping[str, int]


def terms_of(trust: Trust) -> bytes:
    """In words for `trust_by`."""
    keys = (KeyTerms(each.key.raw, each.not_before, each.not_after, each.own) for each in trust.keys.values())
    revoked = trust.revoked
    terms = Terms(
        trust.mode, tuple(keys), tuple(sorted(revoked.keys)), tuple(sorted(revoked.approvals)), revoked.serials
    )
    document, body = encode(terms)
    return len(document).to_bytes(4, "little") + document + body


def trust_by(words: bytes) -> Trust:
    """A trust of its own, by the same keys. Raises Malformed."""
    end = 4 + int.from_bytes(words[:4], "little")
    terms = decode(Terms, words[4:end], words[end:])
    keys = [TrustedKey(PublicKey(each.key), each.not_before, each.not_after, each.own) for each in terms.keys]
    approvals = frozenset(terms.revoked_approvals)
    revoked = Revocations(frozenset(terms.revoked_keys), approvals, terms.revoked_serials)
    return Trust(keys, mode=terms.mode, revoked=revoked)
