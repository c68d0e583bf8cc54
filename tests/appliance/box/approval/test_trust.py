"""What holds and what doesn't: every reason, by an approval for which it is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from appliance.box.approval.config import Mode
from appliance.box.approval.envelope import Approval, Signature, sign
from appliance.box.approval.floor import Floor
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.reasons import NotApproved, Reason
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.statements.claim import CalledClaim, Claim
from appliance.box.approval.statements.statement import Statement
from appliance.box.approval.tables import Tables
from appliance.box.approval.trust import Approved, Trust, TrustedKey
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest, ObjectFile
from tests.appliance.box.approval.conftest import DAY, NOW, Signed, digest_like, image


def refused(trust: Trust, approval: Approval | None, built: Built, request: BuildRequest, now: float = NOW) -> Reason:
    """Why it may not run; that is counted under its name."""
    before = trust.counts()
    with pytest.raises(NotApproved) as raised:
        trust.check(approval, built, request, now)
    reason = raised.value.reason
    assert reason.value in str(raised.value)
    assert raised.value.exit_status == 1
    after = trust.counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {reason.label: 1}
    return reason


def test_what_was_signed_may_run(trust: Trust, approval: Approval, built: Built, request_: BuildRequest) -> None:
    approved = trust.check(approval, built, request_, NOW)
    assert approved.built is built
    assert approved.fault is None
    assert approved.statement == approval.statement()
    assert trust.counts()["approved"] == 1
    assert sum(trust.counts().values()) == 1


def test_nothing_else_makes_an_approved(built: Built) -> None:
    with pytest.raises(TypeError, match=r"made by Trust\.check"):
        Approved(object(), built, None, None, None)


def test_how_long_something_took_is_no_part_of_it(
    trust: Trust, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    assert trust.check(approval, replace(built, verify_seconds=9.0, compile_seconds=9.0), request_, NOW).fault is None


def test_what_a_file_is_called_is_no_part_of_it(
    trust: Trust, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    moved = replace(request_, object=ObjectFile("elsewhere.o", request_.object.data))
    assert trust.check(approval, built, moved, NOW).fault is None


def program(built: Built, **changed: Any) -> Built:
    return replace(built, programs=(replace(built.programs[0], **changed),))


def first_image(built: Built, **changed: Any) -> Built:
    return replace(built, images=(replace(built.images[0], **changed), *built.images[1:]))


def table(built: Built, **changed: str) -> Built:
    return replace(built, prototypes={**built.prototypes, **changed})


OTHER_BUILDS: dict[str, tuple[Reason, Callable[[Built], Built]]] = {
    "bytecode": (Reason.BYTECODE, lambda built: program(built, bytecode=digest_like("e"))),
    "instructions": (Reason.BYTECODE, lambda built: program(built, instructions=13)),
    "facts": (Reason.FACTS, lambda built: program(built, facts=digest_like("e"))),
    "hook": (Reason.HOOK, lambda built: program(built, hook="cgroup/bind4")),
    "program": (Reason.REQUEST, lambda built: program(built, name="other")),
    "helpers": (Reason.HELPERS, lambda built: program(built, helpers=("redirect",))),
    "tail calls": (Reason.MAP, lambda built: program(built, tail_call_maps=())),
    "body": (Reason.SYMBOLS, lambda built: program(built, body="other")),
    "fewer programs": (Reason.REQUEST, lambda built: replace(built, programs=())),
    "machine code": (Reason.CODE, lambda built: first_image(built, data=image())),
    "one byte of it": (Reason.CODE, lambda built: first_image(built, data=built.images[0].data[:-1] + b"x")),
    "name of an image": (Reason.CODE, lambda built: first_image(built, name="other")),
    "exports": (Reason.SYMBOLS, lambda built: first_image(built, exports=("batch", "other"))),
    "symbols": (Reason.SYMBOLS, lambda built: first_image(built, symbols=(*built.images[0].symbols, "memory.steps"))),
    "fewer images": (Reason.CODE, lambda built: replace(built, images=built.images[:1])),
    "images in another order": (Reason.CODE, lambda built: replace(built, images=built.images[::-1])),
    "platform": (Reason.PLATFORM, lambda built: replace(built, platform="windows")),
    "table of the hook": (Reason.HOOK, lambda built: table(built, **{"hook.xdp": digest_like("e")})),
    "table of helpers": (Reason.HELPERS, lambda built: table(built, helpers=digest_like("e"))),
    "a map's declaration": (Reason.MAP, lambda built: table(built, **{"map.flows": digest_like("e")})),
    "one map more": (Reason.MAP, lambda built: table(built, **{"map.more": digest_like("e")})),
    "version": (Reason.VERSION, lambda built: replace(built, versions={**built.versions, "llvm": "14.0.0"})),
    "processor": (Reason.PROCESSOR, lambda built: replace(built, processor="pentium +mmx")),
}


@pytest.mark.parametrize("name", OTHER_BUILDS)
def test_another_build_is_not_what_was_signed(
    name: str, trust: Trust, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    reason, change = OTHER_BUILDS[name]
    assert refused(trust, approval, change(built), request_) is reason


OTHER_REQUESTS: dict[str, tuple[Reason, Callable[[BuildRequest], BuildRequest]]] = {
    "object": (Reason.OBJECT, lambda asked: replace(asked, object=ObjectFile("filter.o", b"an objecu"))),
    "called object": (
        Reason.OBJECT,
        lambda asked: replace(asked, called=(replace(asked.called[0], object=ObjectFile("stage.o", b"x")),)),
    ),
    "its place": (Reason.OBJECT, lambda asked: replace(asked, called=(replace(asked.called[0], number=8),))),
    "none called": (Reason.OBJECT, lambda asked: replace(asked, called=())),
    "inward": (Reason.REQUEST, lambda asked: replace(asked, inward="other")),
    "outward": (Reason.REQUEST, lambda asked: replace(asked, outward="main")),
    "workers": (Reason.REQUEST, lambda asked: replace(asked, workers=3)),
}


@pytest.mark.parametrize("name", OTHER_REQUESTS)
def test_another_request_has_no_such_answer(
    name: str, trust: Trust, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    reason, change = OTHER_REQUESTS[name]
    assert refused(trust, approval, built, change(request_)) is reason


# What was signed as it is, by a keeper that looked at nothing: true of the build, and not of this machine.
UNTRUE: dict[str, tuple[Reason, Callable[[Built], Built]]] = {
    "another platform": (Reason.PLATFORM, lambda built: replace(built, platform="plan9")),
    "an unknown hook": (Reason.HOOK, lambda built: program(built, hook="tc")),
    "another contract of the hook": (Reason.HOOK, lambda built: table(built, **{"hook.xdp": digest_like("e")})),
    "another table of helpers": (Reason.HELPERS, lambda built: table(built, helpers=digest_like("e"))),
    "the helpers of another platform": (
        Reason.HELPERS,
        lambda built: table(built, helpers=Tables.here().platforms["windows"].helpers),
    ),
    "a helper that isn't there": (Reason.HELPERS, lambda built: program(built, helpers=("is_current_admin",))),
    "a table of something else": (Reason.HELPERS, lambda built: table(built, dogs=digest_like("e"))),
    "tail calls by no map": (Reason.MAP, lambda built: program(built, tail_call_maps=("none",))),
    "no program of that name": (Reason.REQUEST, lambda built: program(built, name="other")),
    "a program twice": (Reason.REQUEST, lambda built: replace(built, programs=built.programs * 2)),
    "memory of no map": (
        Reason.SYMBOLS,
        lambda built: first_image(built, symbols=(*built.images[0].symbols, "memory.none")),
    ),
    "a function of the C library": (
        Reason.SYMBOLS,
        lambda built: first_image(built, symbols=(*built.images[0].symbols, "system")),
    ),
    "a function twice": (
        Reason.SYMBOLS,
        lambda built: replace(built, images=(built.images[0], replace(built.images[1], exports=("batch",) * 2))),
    ),
    "a call that it does not tell": (Reason.SYMBOLS, lambda built: first_image(built, data=image(calls="mprotect"))),
    "code that is none": (Reason.CODE, lambda built: first_image(built, data=b"\x7fELF")),
    "no code at all": (Reason.CODE, lambda built: replace(built, images=())),
    "another version": (Reason.VERSION, lambda built: replace(built, versions={**built.versions, "tidegate": "0.1"})),
    "a version less": (Reason.VERSION, lambda built: replace(built, versions={})),
    "another processor": (Reason.PROCESSOR, lambda built: replace(built, processor="m68k +fpu")),
}


@pytest.mark.parametrize("name", UNTRUE)
def test_what_is_not_true_of_this_machine_does_not_run_even_if_it_is_signed(
    name: str, trust: Trust, statement: Statement, key: PrivateKey, built: Built, request_: BuildRequest
) -> None:
    reason, change = UNTRUE[name]
    other = change(built)
    approval = sign(replace(statement, claim=Claim.of(request_, other)), [key])
    assert refused(trust, approval, other, request_) is reason


def test_nobody_signed(trust: Trust, approval: Approval, built: Built, request_: BuildRequest) -> None:
    assert refused(trust, None, built, request_) is Reason.UNSIGNED
    assert refused(trust, replace(approval, signatures=()), built, request_) is Reason.UNSIGNED


def test_somebody_else_signed(trust: Trust, statement: Statement, built: Built, request_: BuildRequest) -> None:
    assert refused(trust, sign(statement, [PrivateKey.generate()]), built, request_) is Reason.UNKNOWN_KEY


def test_somebody_else_signed_under_a_known_name(
    trust: Trust, statement: Statement, key: PrivateKey, built: Built, request_: BuildRequest
) -> None:
    forged = sign(statement, [PrivateKey.generate()])
    forged = replace(forged, signatures=(Signature(key.public.id, forged.signatures[0].value),))
    assert refused(trust, forged, built, request_) is Reason.SIGNATURE


def test_a_signature_of_another_statement(
    trust: Trust, statement: Statement, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    moved = Approval(replace(statement, expires=statement.expires + 1).text(), approval.signatures)
    assert refused(trust, moved, built, request_) is Reason.SIGNATURE


def test_what_is_signed_is_no_statement(trust: Trust, approval: Approval, built: Built, request_: BuildRequest) -> None:
    assert refused(trust, replace(approval, payload=b"{}"), built, request_) is Reason.MALFORMED


def test_one_trusted_signature_of_two_is_enough(
    trust: Trust, statement: Statement, key: PrivateKey, built: Built, request_: BuildRequest
) -> None:
    both = sign(statement, [PrivateKey.generate(), key])
    assert trust.check(both, built, request_, NOW).fault is None


@pytest.mark.parametrize(
    ("now", "reason"), [(NOW - 301, Reason.NOT_YET), (NOW + 90 * DAY, Reason.EXPIRED), (NOW + 91 * DAY, Reason.EXPIRED)]
)
def test_it_has_a_time(
    now: float, reason: Reason, trust: Trust, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    assert refused(trust, approval, built, request_, now) is reason
    assert trust.check(approval, built, request_, NOW - 299).fault is None
    assert trust.check(approval, built, request_, NOW + 90 * DAY - 1).fault is None


@pytest.mark.parametrize(
    ("window", "now", "reason"),
    [
        ((NOW + 1, NOW + DAY), NOW + 2, Reason.KEY_NOT_YET),  # issued before it was trusted
        ((NOW + 1, NOW + DAY), NOW, Reason.KEY_NOT_YET),
        ((NOW - DAY, NOW - 1), NOW, Reason.KEY_NO_LONGER),
        ((NOW - DAY, NOW + DAY), NOW + DAY + 1, Reason.KEY_NO_LONGER),  # issued in its time, which is over
    ],
)
def test_a_key_has_a_time(
    window: tuple[int, int],
    now: float,
    reason: Reason,
    key: PrivateKey,
    approval: Approval,
    built: Built,
    request_: BuildRequest,
) -> None:
    assert refused(Trust([TrustedKey(key.public, *window)]), approval, built, request_, now) is reason


def test_keys_overlap_while_approvals_are_made_anew(
    key: PrivateKey, statement: Statement, approval: Approval, built: Built, request_: BuildRequest
) -> None:
    successor = PrivateKey.generate()
    trust = Trust(
        [TrustedKey(key.public, not_after=NOW + 10 * DAY), TrustedKey(successor.public, not_before=NOW - DAY)]
    )
    anew = sign(statement, [successor])
    assert trust.check(approval, built, request_, NOW).fault is None
    assert trust.check(anew, built, request_, NOW).fault is None
    assert refused(trust, approval, built, request_, NOW + 11 * DAY) is Reason.KEY_NO_LONGER
    assert trust.check(anew, built, request_, NOW + 11 * DAY).fault is None


@pytest.mark.parametrize(
    ("revoked", "reason"),
    [
        (lambda key, approval: Revocations(keys=frozenset({key})), Reason.REVOKED_KEY),
        (lambda key, approval: Revocations(approvals=frozenset({approval.digest})), Reason.REVOKED),
        (lambda key, approval: Revocations(serials={key: NOW * 1_000_000}), Reason.REVOKED),
    ],
)
def test_it_can_be_taken_back(
    revoked: Callable[[str, Approval], Revocations],
    reason: Reason,
    key: PrivateKey,
    approval: Approval,
    built: Built,
    request_: BuildRequest,
) -> None:
    trust = Trust([TrustedKey(key.public)], revoked=revoked(key.public.id, approval))
    assert refused(trust, approval, built, request_) is reason


def test_what_was_taken_back_up_to_a_serial_number_can_be_approved_anew(
    key: PrivateKey, signed: Signed, built: Built, request_: BuildRequest
) -> None:
    trust = Trust([TrustedKey(key.public)], revoked=Revocations(serials={key.public.id: 5}))
    assert refused(trust, signed(serial=5), built, request_) is Reason.REVOKED
    assert trust.check(signed(serial=6), built, request_, NOW).fault is None


def test_an_old_approval_that_is_put_back_is_refused(
    key: PrivateKey, trust: Trust, signed: Signed, built: Built, request_: BuildRequest
) -> None:
    assert trust.check(signed(serial=5), built, request_, NOW).fault is None
    assert trust.check(signed(serial=5), built, request_, NOW).fault is None
    assert trust.check(signed(serial=7), built, request_, NOW).fault is None
    assert refused(trust, signed(serial=6), built, request_) is Reason.REPLAYED
    assert trust.check(signed(serial=8), built, request_, NOW).fault is None


def test_what_is_refused_lifts_no_floor(
    key: PrivateKey, trust: Trust, signed: Signed, built: Built, request_: BuildRequest
) -> None:
    assert refused(trust, signed(serial=9, workers=4), built, request_) is Reason.REQUEST
    assert trust.check(signed(serial=5), built, request_, NOW).fault is None


def test_the_boxs_own_key_has_no_floor(key: PrivateKey, signed: Signed, built: Built, request_: BuildRequest) -> None:
    trust = Trust([TrustedKey(key.public, own=True)], floor=Floor())
    assert trust.check(signed(serial=7), built, request_, NOW).fault is None
    assert trust.check(signed(serial=5), built, request_, NOW).fault is None


def test_all_that_is_wrong_is_told(trust: Trust, signed: Signed, built: Built, request_: BuildRequest) -> None:
    approval = signed(by=PrivateKey.generate(), called=(CalledClaim(1, "x", digest_like("e")),), workers=9)
    with pytest.raises(NotApproved) as raised:
        trust.check(approval, built, request_, NOW + 100 * DAY)
    assert [fault.reason for fault in raised.value.faults] == [
        Reason.UNKNOWN_KEY,
        Reason.EXPIRED,
        Reason.OBJECT,
        Reason.REQUEST,
        Reason.REQUEST,
    ]
    assert "(and 4 more)" in str(raised.value)


def test_warn_runs_it_and_says_so(built: Built, request_: BuildRequest) -> None:
    said: list[str] = []
    trust = Trust([], mode=Mode.WARN, log=said.append)
    approved = trust.check(None, built, request_, NOW)
    assert approved.fault is not None
    assert approved.fault.reason is Reason.UNSIGNED
    assert approved.statement is None
    assert trust.counts()["unsigned"] == 1
    assert len(said) == 1
    assert "trust.mode" in said[0]
    assert Reason.UNSIGNED.value in said[0]


def test_off_asks_nothing(approval: Approval, built: Built, request_: BuildRequest) -> None:
    trust = Trust([], mode=Mode.OFF)
    assert trust.check(None, built, request_, NOW).fault is None
    assert trust.counts()["unchecked"] == 1
    assert trust.counts()["approved"] == 0


def test_a_refusal_is_logged_in_its_own_words(built: Built, request_: BuildRequest) -> None:
    said: list[str] = []
    with pytest.raises(NotApproved):
        Trust([], log=said.append).check(None, built, request_, NOW)
    assert said == ["filter.o: not approved: nobody has signed it\n  hint: approve it: `tidegate approve`"]


def test_every_reason_is_tried_here_and_has_a_label_of_its_own() -> None:
    assert len({reason.label for reason in Reason}) == len(Reason) == len({reason.value for reason in Reason})
    tried = {reason for table in (OTHER_BUILDS, OTHER_REQUESTS, UNTRUE) for reason, _ in table.values()}
    by_name = {
        *(Reason.UNSIGNED, Reason.MALFORMED, Reason.UNKNOWN_KEY, Reason.REVOKED_KEY, Reason.KEY_NOT_YET),
        *(Reason.KEY_NO_LONGER, Reason.SIGNATURE, Reason.REVOKED, Reason.NOT_YET, Reason.EXPIRED, Reason.REPLAYED),
    }
    assert tried | by_name == set(Reason)
