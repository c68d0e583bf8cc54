"""Why an approval does not hold: every reason, in words, and the error that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from appliance.errors import TidegateError


class Reason(Enum):
    """What is wrong. The name in small letters is the metric's label; the order is that of the check."""

    UNSIGNED = "nobody has signed it"
    MALFORMED = "it is no approval"
    UNKNOWN_KEY = "it is signed by a key that is not trusted"
    REVOKED_KEY = "it is signed by a key that was revoked"
    KEY_NOT_YET = "it is signed by a key that is not trusted yet"
    KEY_NO_LONGER = "it is signed by a key that is no longer trusted"
    SIGNATURE = "the signature is not of this statement"
    REVOKED = "it was revoked"
    NOT_YET = "it was issued in the future"
    EXPIRED = "it has expired"
    REPLAYED = "it is older than what was accepted before"
    OBJECT = "it approves another object"
    REQUEST = "it approves other programs or another number of workers"
    PLATFORM = "it approves programs of another platform"
    HOOK = "it was proved against another hook"
    HELPERS = "it was proved against other helpers"
    MAP = "it was proved against other maps"
    BYTECODE = "it approves other bytecode"
    FACTS = "it approves another proof"
    CODE = "it approves other machine code"
    SYMBOLS = "its machine code names what it may not"
    VERSION = "it was proved and compiled by another version"
    PROCESSOR = "its machine code is for another processor"

    @property
    def label(self) -> str:
        """Of `tidegate_approvals_total`."""
        return self.name.lower()


ADVICE = {
    Reason.UNSIGNED: "approve it: `tidegate approve`",
    Reason.UNKNOWN_KEY: "put the public key into `trust.keys` if you trust it",
    Reason.NOT_YET: "look at the clocks of both machines",
    Reason.EXPIRED: "approve it anew",
    Reason.REPLAYED: "to go back on purpose, approve it anew",
    Reason.KEY_NO_LONGER: "approve it anew, by a key that is trusted",
    Reason.VERSION: "approve it anew, with the version of Tidegate that is to run it",
    Reason.PROCESSOR: "approve it on a machine with the processor of the one that is to run it",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not hold; `detail` says which, and how it should be."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


class NotApproved(TidegateError):
    """It may not run. `faults` are all things that don't hold, the first of which is `reason`."""

    exit_status = 1

    def __init__(self, faults: Sequence[Fault], where: object = None) -> None:
        self.faults = tuple(faults)
        self.reason = self.faults[0].reason
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"not approved: {self.faults[0]}{more}", where=where, hint=ADVICE.get(self.reason))
