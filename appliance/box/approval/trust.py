"""The check: whether what is to run is what a trusted key has signed, bit for bit. It has public keys and no others.

    Approval (signed by whom? when?) ──┐
    Built, BuildRequest (what is it?) ─┼──faults──> none ──> Approved ──> whoever links takes nothing else
    Tables (is it true here?) ─────────┘            some ──> enforce: NotApproved   warn: told   off: not asked

Order matters to what is believed: the signature comes first, and what an unsigned statement says is only ever reported.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.box.approval.config import FOREVER, Mode
from appliance.box.approval.differences import differences
from appliance.box.approval.envelope import Approval
from appliance.box.approval.files import FileRefused
from appliance.box.approval.floor import Floor
from appliance.box.approval.image_symbols import C_LIBRARY, undefined_symbols
from appliance.box.approval.keys import PublicKey
from appliance.box.approval.reasons import Fault, NotApproved, Reason
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.statements.claim import Claim
from appliance.box.approval.statements.forms import Malformed
from appliance.box.approval.statements.statement import Statement
from appliance.box.approval.tables import Tables, faults
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest

APPROVED, UNCHECKED = "approved", "unchecked"
SKEW = 300  # seconds that another machine's clock may be ahead of ours
_LATEST = 253402300799  # the last second of the year 9999
_TOKEN = object()


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key and when it is trusted, in seconds since 1970: a statement must be issued in that time, and the time not
    be over. So two keys may overlap while approvals are made anew. `own` is the box's own key, whose approvals are made
    for each build and bound to it; those of other keys are files that somebody could put back."""

    key: PublicKey
    not_before: int = 0
    not_after: int = FOREVER
    own: bool = False


class Approved:
    """A build that may run: made by `Trust.check`, and by nothing else. Any thread.

    `approval` is what it was checked by, None where there was none; `fault` is why it should not run, where the mode
    lets it all the same; `statement` is what was signed, None if nothing was that could be read."""

    __slots__ = ("approval", "built", "fault", "statement")

    def __init__(
        self,
        token: object,
        built: Built,
        approval: Approval | None,
        statement: Statement | None,
        fault: Fault | None,
    ) -> None:
        if token is not _TOKEN:
            raise TypeError("an Approved is made by Trust.check, and by nothing else")
        self.built = built
        self.approval = approval
        self.statement = statement
        self.fault = fault


class Trust:
    """Who is trusted, and how much of it is enforced. Any thread; `counts` says how checks ended."""

    def __init__(
        self,
        keys: Iterable[TrustedKey],
        *,
        mode: Mode = Mode.ENFORCE,
        revoked: Revocations | None = None,
        floor: Floor | None = None,
        tables: Tables | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.mode = mode
        self.keys: Mapping[str, TrustedKey] = {each.key.id: each for each in keys}
        self.revoked = revoked or Revocations()
        self.tables = tables or Tables.here()
        self._floor = floor or Floor()
        self._log = log
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def renew(self, keys: Iterable[TrustedKey], revoked: Revocations) -> None:
        """From now on these count, and those don't. What was accepted, and how checks ended, stays."""
        self.keys = {each.key.id: each for each in keys}
        self.revoked = revoked

    def check(
        self, approval: Approval | None, built: Built, request: BuildRequest, now: float, *, strict: bool = False
    ) -> Approved:
        """Let this build run, as the answer to that request. `now` is in seconds since 1970. Raises NotApproved in
        enforce mode, for whatever reason there is; `strict` enforces in every mode, for those who have another way."""
        where = request.object.source
        if self.mode is Mode.OFF and not strict:
            self._count(UNCHECKED)
            return Approved(_TOKEN, built, approval, None, None)
        found = tuple(self.faults(approval, built, request, now))
        if not found:
            assert approval is not None
            self._count(APPROVED)
            statement = approval.statement()
            self._accept(approval, statement)
            return Approved(_TOKEN, built, approval, statement, None)
        self._count(found[0].reason.label)
        refused = NotApproved(found, where)
        if strict:
            raise refused
        if self.mode is Mode.ENFORCE:
            self._log(str(refused))
            raise refused
        self._log(f"runs all the same, as `trust.mode` is warn: {refused}")
        return Approved(_TOKEN, built, approval, None, found[0])

    def faults(self, approval: Approval | None, built: Built, request: BuildRequest, now: float) -> Iterator[Fault]:
        """Everything that does not hold, what matters most first. Nothing is counted."""
        try:
            given = Claim.of(request, built)
            statement = None if approval is None else approval.statement()
        except Malformed as error:
            yield Fault(Reason.MALFORMED, str(error))
            return
        if approval is None or statement is None:
            yield Fault(Reason.UNSIGNED)
            return
        yield from self._signature_faults(approval, statement, now)
        yield from self._time_faults(approval, statement, now)
        yield from differences(statement.claim, given)
        yield from faults(statement.claim, self.tables)
        yield from _image_faults(built)

    def counts(self) -> Mapping[str, int]:
        """How checks ended, by label, every label from the start at 0: `tidegate_approvals_total`."""
        with self._lock:
            return {name: self._counts[name] for name in (APPROVED, UNCHECKED, *(each.label for each in Reason))}

    def _count(self, label: str) -> None:
        with self._lock:
            self._counts[label] += 1

    def _signers(self, approval: Approval) -> list[TrustedKey]:
        return [self.keys[each.key] for each in approval.signatures if each.key in self.keys]

    def _signature_faults(self, approval: Approval, statement: Statement, now: float) -> Iterator[Fault]:
        """None, if one trusted key has signed it in its time; else what is wrong with the first that is known."""
        if not approval.signatures:
            yield Fault(Reason.UNSIGNED)
            return
        signers = self._signers(approval)
        if not signers:
            yield Fault(Reason.UNKNOWN_KEY, ", ".join(each.key[:16] for each in approval.signatures))
            return
        found = [self._key_fault(signer, approval, statement, now) for signer in signers]
        if all(found):
            yield next(fault for fault in found if fault is not None)

    def _key_fault(self, signer: TrustedKey, approval: Approval, statement: Statement, now: float) -> Fault | None:
        short = signer.key.id[:16]
        if not approval.is_signed_by(signer.key):
            return Fault(Reason.SIGNATURE, f"key {short}")
        if signer.key.id in self.revoked.keys:
            return Fault(Reason.REVOKED_KEY, short)
        if statement.issued < signer.not_before or now < signer.not_before:
            return Fault(Reason.KEY_NOT_YET, f"{short}, from {told_time(signer.not_before)} on")
        if statement.issued > signer.not_after or now > signer.not_after:
            return Fault(Reason.KEY_NO_LONGER, f"{short}, since {told_time(signer.not_after)}")
        return None

    def _time_faults(self, approval: Approval, statement: Statement, now: float) -> Iterator[Fault]:
        if approval.digest in self.revoked.approvals:
            yield Fault(Reason.REVOKED, f"approval {approval.digest[:16]}")
        for each in approval.signatures:
            if statement.serial <= self.revoked.serials.get(each.key, -1):
                yield Fault(Reason.REVOKED, f"serial {statement.serial} of key {each.key[:16]}")
        if statement.issued > now + SKEW:
            yield Fault(Reason.NOT_YET, told_time(statement.issued))
        if statement.expires <= now:
            yield Fault(Reason.EXPIRED, told_time(statement.expires))
        for signer in self._signers(approval):
            least = self._floor.of(signer.key.id)
            if not signer.own and statement.serial < least:
                yield Fault(Reason.REPLAYED, f"serial {statement.serial}, {least} was accepted")

    def _accept(self, approval: Approval, statement: Statement) -> None:
        for signer in self._signers(approval):
            if not signer.own and approval.is_signed_by(signer.key):
                try:
                    self._floor.lift(signer.key.id, statement.serial)
                except FileRefused as error:
                    self._log(f"that serial {statement.serial} was accepted can't be written down: {error}")


def told_time(seconds: int) -> str:
    """`2026-12-01 12:00 UTC`."""
    return datetime.fromtimestamp(min(seconds, _LATEST), UTC).strftime("%Y-%m-%d %H:%M UTC")


def _image_faults(built: Built) -> Iterator[Fault]:
    """Whether the machine code names what the build says that it names, and nothing else but the C library's."""
    for image in built.images:
        try:
            more = undefined_symbols(image.data) - C_LIBRARY - set(image.symbols)
        except Malformed as error:
            yield Fault(Reason.CODE, f"{image.name} is {error}")
            continue
        for name in sorted(more):
            yield Fault(Reason.SYMBOLS, f"{image.name} names {name}, which it does not say")
