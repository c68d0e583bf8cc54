"""What is signed: a claim, and when it is true.

    {"claim": {…}, "expires": 1803, "issued": 1796, "serial": 1796000000000000}      canonical JSON, one text

`issued` and `expires` are seconds since 1970, UTC. `serial` grows with every statement of a key: of two, the one with
the greater serial was signed later.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.claim import CLAIM, Claim
from appliance.box.approval.statements.forms import Malformed, Number, Record, of_plain

LARGEST = 1 << 20  # bytes
_LATEST = 1 << 40  # seconds
LARGEST_SERIAL = (1 << 53) - 1  # what every reader of JSON can hold


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim with its time."""

    claim: Claim
    serial: int
    issued: int
    expires: int

    def text(self) -> bytes:
        """What is signed. Raises Malformed if a field is not what it may be."""
        STATEMENT.check(self, "")
        text = canonical.encode(STATEMENT.plain(self))
        if len(text) > LARGEST:
            raise Malformed(f"a statement of more than {LARGEST} bytes")
        return text

    @classmethod
    def of_text(cls, text: bytes) -> Statement:
        """What was signed. Raises Malformed."""
        if len(text) > LARGEST:
            raise Malformed(f"a statement of more than {LARGEST} bytes")
        try:
            plain = canonical.decode(text)
        except canonical.NotCanonical as error:
            raise Malformed(f"the statement is {error}") from None
        statement: Statement = of_plain(STATEMENT, plain)
        return statement


STATEMENT = Record(
    Statement,
    claim=CLAIM,
    serial=Number(LARGEST_SERIAL),
    issued=Number(_LATEST),
    expires=Number(_LATEST),
)
