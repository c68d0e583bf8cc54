"""Remembered builds: found as they were kept, and everything else is told, counted and built anew."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.approval.approvals import Approvals
from appliance.box.approval.config import Mode
from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.envelope import Approval, sign
from appliance.box.approval.files import FileRefused
from appliance.box.approval.keeping.client import KeeperClient, KeeperRefused
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.reasons import NotApproved, Reason
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.statements.claim import Claim
from appliance.box.approval.statements.statement import Statement
from appliance.box.approval.store import Store
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest, ObjectFile
from tests.appliance.box.approval.conftest import DAY, NOW
from tests.appliance.box.approval.test_trust import program
from tests.capabilities import requires

NOBODY = 65534


class Kept:
    """A store with one build in it, what it said, and where the file lies."""

    def __init__(self, directory: Path, file: ApprovedFile, trust: Trust) -> None:
        self.said: list[str] = []
        self.directory = directory
        self.file = file
        self.trust = trust
        self.store = Store(directory, self.said.append)
        self.store.keep(file)

    @property
    def path(self) -> Path:
        (path,) = self.directory.iterdir()
        return path

    def is_found(self, now: float = NOW) -> bool:
        return self.store.recall(self.file.request, self.trust, now) is not None


@pytest.fixture
def kept(tmp_path: Path, approval: Approval, request_: BuildRequest, built: Built, trust: Trust) -> Iterator[Kept]:
    made = Kept(tmp_path / "store", ApprovedFile(approval, request_, built), trust)
    yield made
    made.store.close()
    made.store.close()


def test_what_was_kept_is_found(kept: Kept) -> None:
    approved = kept.store.recall(kept.file.request, kept.trust, NOW)
    assert approved is not None
    assert approved.built.images == kept.file.built.images
    assert approved.built.verify_seconds == approved.built.compile_seconds == 0.0
    assert kept.store.counts() == {"found": 1, "absent": 0, "refused": 0}
    assert kept.said == []


def test_nobody_else_can_read_it(kept: Kept) -> None:
    assert kept.directory.stat().st_mode & 0o777 == 0o700
    assert kept.path.stat().st_mode & 0o777 == 0o600


def test_another_process_finds_it(kept: Kept) -> None:
    with Store(kept.directory, kept.said.append) as other:
        assert other.recall(kept.file.request, kept.trust, NOW) is not None


def test_where_the_object_lies_does_not_matter(kept: Kept) -> None:
    moved = replace(kept.file.request, object=ObjectFile("elsewhere.o", kept.file.request.object.data))
    assert kept.store.recall(moved, kept.trust, NOW) is not None


OTHER: dict[str, Callable[[BuildRequest], BuildRequest]] = {
    "object": lambda asked: replace(asked, object=ObjectFile("filter.o", b"another one")),
    "workers": lambda asked: replace(asked, workers=3),
    "inward": lambda asked: replace(asked, inward="other"),
    "outward": lambda asked: replace(asked, outward="main"),
    "called": lambda asked: replace(asked, called=()),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_request_finds_nothing(name: str, kept: Kept) -> None:
    assert kept.store.recall(OTHER[name](kept.file.request), kept.trust, NOW) is None
    assert kept.store.counts() == {"found": 0, "absent": 1, "refused": 0}
    assert kept.said == []


def test_another_kernel_finds_nothing(kept: Kept) -> None:
    with Store(kept.directory, kept.said.append, kernel="7.0.0-other") as other:
        assert other.recall(kept.file.request, kept.trust, NOW) is None


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit of the magic": (lambda path: flip(path, 0), "does not begin as one"),
    "a flipped bit of the envelope": (lambda path: flip(path, 300), "no approval"),
    "a flipped bit of the code": (lambda path: flip(path, -1), Reason.CODE.value),
    "a file that is cut": (cut, "not as long as it says"),
    "an empty file": (lambda path: path.write_bytes(b""), "does not begin as one"),
    "a link to what was there": (link, "symbolic link"),
    "a pipe that nobody writes to": (pipe, "no regular file"),
    "a file that others may read": (lambda path: path.chmod(0o644), "others may read it"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_touched_is_told_and_counted_and_built_anew(name: str, kept: Kept) -> None:
    attack, words = ATTACKS[name]
    attack(kept.path)
    assert not kept.is_found()
    assert kept.store.counts() == {"found": 0, "absent": 0, "refused": 1}
    assert len(kept.said) == 1
    assert "remembered code is not used, and built anew" in kept.said[0]
    assert words in kept.said[0]
    kept.store.keep(kept.file)
    assert kept.is_found()


@requires("root")
def test_a_file_of_another_user_is_not_used(kept: Kept) -> None:
    os.chown(kept.path, NOBODY, -1)
    assert not kept.is_found()
    assert f"belongs to user {NOBODY}" in kept.said[0]


def test_the_file_of_another_request_under_this_name_is_not_used(
    kept: Kept, statement: Statement, key: PrivateKey, built: Built
) -> None:
    asked = replace(kept.file.request, workers=5)
    theirs = ApprovedFile(sign(replace(statement, claim=Claim.of(asked, built)), [key]), asked, built)
    kept.path.write_bytes(theirs.to_bytes())
    assert not kept.is_found()
    assert Reason.REQUEST.value in kept.said[0]
    assert kept.trust.counts()["request"] == 1


def test_a_file_that_another_key_signed_is_not_used(kept: Kept, statement: Statement) -> None:
    kept.path.write_bytes(replace(kept.file, approval=sign(statement, [PrivateKey.generate()])).to_bytes())
    assert not kept.is_found()
    assert Reason.UNKNOWN_KEY.value in kept.said[0]


def test_it_is_not_used_longer_than_it_holds(kept: Kept) -> None:
    assert not kept.is_found(NOW + 90 * DAY)
    assert Reason.EXPIRED.value in kept.said[0]


def test_what_was_revoked_meanwhile_is_not_used(kept: Kept, key: PrivateKey) -> None:
    revoked = Revocations(approvals=frozenset({kept.file.approval.digest}))
    kept.trust = Trust([TrustedKey(key.public)], revoked=revoked)
    assert not kept.is_found()


@pytest.mark.parametrize("mode", Mode)
def test_no_mode_lets_run_what_somebody_put_there(mode: Mode, kept: Kept) -> None:
    kept.trust = Trust([], mode=mode)
    assert not kept.is_found()
    assert kept.trust.counts()["unknown_key"] == 1


def test_a_race_at_the_file_gives_what_was_kept_or_nothing(kept: Kept) -> None:
    """Somebody exchanges the file, all the time, for one with other code: what is found is always what was signed."""
    good = kept.path.read_bytes()
    path, ended = kept.path, threading.Event()

    def exchange() -> None:
        beside = path.with_name("beside")
        while not ended.is_set():
            for data in (good[:-1] + b"x", good, good[: len(good) // 2]):
                beside.write_bytes(data)
                beside.chmod(0o600)
                beside.rename(path)

    other = threading.Thread(target=exchange)
    other.start()
    try:
        found = [kept.store.recall(kept.file.request, kept.trust, NOW) for _ in range(300)]
    finally:
        ended.set()
        other.join()
    assert {approved.built.images for approved in found if approved} <= {kept.file.built.images}
    counts = kept.store.counts()
    assert sum(counts.values()) == 300
    assert counts["found"] == sum(approved is not None for approved in found)


def test_a_directory_that_others_may_use_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o750)
    with pytest.raises(FileRefused, match="others may use it"):
        Store(tmp_path / "open", print)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(FileRefused, match="no directory to remember code in"):
        Store(tmp_path / "link", print)


def other_file(file: ApprovedFile, number: int) -> ApprovedFile:
    return replace(file, request=replace(file.request, inward=f"program{number}"))


def test_the_least_recently_used_goes_first(tmp_path: Path, kept: Kept) -> None:
    files = [other_file(kept.file, number) for number in range(4)]
    with Store(tmp_path / "few", kept.said.append, most_files=3) as store:
        for number, file in enumerate(files[:3]):
            store.keep(file)
            for path in (tmp_path / "few").iterdir():
                if path.stat().st_mtime > 10:
                    os.utime(path, (number + 1, number + 1))
        names = {path.stat().st_mtime: path.name for path in (tmp_path / "few").iterdir()}
        os.utime(tmp_path / "few" / names[1.0])  # used again
        store.keep(files[3])
        left = {path.name for path in (tmp_path / "few").iterdir()}
    assert len(left) == 3
    assert names[2.0] not in left
    assert {names[1.0], names[3.0]} < left


def test_bytes_are_bounded_too(tmp_path: Path, kept: Kept) -> None:
    size = len(kept.file.to_bytes())
    with Store(tmp_path / "few", kept.said.append, most_bytes=2 * size + size // 2) as store:
        for number in range(5):
            store.keep(other_file(kept.file, number))
        assert len(list((tmp_path / "few").iterdir())) == 2
    with Store(tmp_path / "none", kept.said.append, most_bytes=size - 1) as store:
        store.keep(kept.file)
        assert list((tmp_path / "none").iterdir()) == []
    assert "too many to be remembered" in kept.said[-1]


def test_what_a_killed_process_left_half_written_goes(kept: Kept) -> None:
    left = kept.directory / ".new-1-1-x.approved"
    left.write_bytes(b"half")
    with Store(kept.directory, kept.said.append):
        assert left.exists()  # it may just be being written
    os.utime(left, (1, 1))
    with Store(kept.directory, kept.said.append):
        assert not left.exists()
    assert kept.is_found()


def test_what_cannot_be_kept_is_told_and_no_more(kept: Kept) -> None:
    path = kept.path
    path.unlink()
    path.mkdir()
    kept.store.keep(kept.file)
    assert "code can't be remembered" in kept.said[0]
    assert [each.name for each in kept.directory.iterdir()] == [path.name]


class Building:
    """A prover that counts, and may lie."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.times = 0

    def __call__(self, request: BuildRequest) -> Built:
        self.times += 1
        return self.built


@pytest.fixture(scope="module")
def keeper() -> Iterator[KeeperClient]:
    with KeeperClient.start(None) as client:
        yield client


def test_what_is_known_is_not_built_again(
    tmp_path: Path, keeper: KeeperClient, built: Built, request_: BuildRequest
) -> None:
    building, trust = Building(built), Trust([TrustedKey(keeper.public, own=True)])
    with Store(tmp_path / "store", print) as store:
        approvals = Approvals(trust, building, keeper=keeper, store=store)
        first, second = approvals.of_request(request_), approvals.of_request(request_)
        assert first.built.images == second.built.images
        assert building.times == 1
        approvals.of_request(replace(request_, workers=4))
        assert building.times == 2
        assert trust.counts()["approved"] == 3


def test_a_prover_that_lies_is_caught_and_nothing_of_it_is_kept(
    tmp_path: Path, keeper: KeeperClient, built: Built, request_: BuildRequest
) -> None:
    lying = Building(program(built, helpers=("is_current_admin",)))
    with Store(tmp_path / "store", print) as store:
        approvals = Approvals(Trust([TrustedKey(keeper.public)]), lying, keeper=keeper, store=store)
        with pytest.raises(KeeperRefused, match=Reason.HELPERS.value):
            approvals.of_request(request_)
    assert list((tmp_path / "store").iterdir()) == []


def test_without_a_keeper_only_files_run(
    approval: Approval, key: PrivateKey, built: Built, request_: BuildRequest
) -> None:
    approvals = Approvals(Trust([TrustedKey(key.public)]), Building(built), clock=lambda: NOW)
    with pytest.raises(NotApproved, match=Reason.UNSIGNED.value):
        approvals.of_request(request_)
    file = ApprovedFile(approval, request_, built)
    assert approvals.of_file(file, workers=2).fault is None
    assert approvals.of_file(file, workers=2, inward="main").fault is None
    with pytest.raises(NotApproved, match=Reason.REQUEST.value):
        approvals.of_file(file, workers=3)
    with pytest.raises(NotApproved, match=Reason.REQUEST.value):
        approvals.of_file(file, workers=2, inward="other")


def test_modes_that_let_everything_run_do(keeper: KeeperClient, built: Built, request_: BuildRequest) -> None:
    said: list[str] = []
    lying = Building(replace(built, platform="plan9"))
    warn = Approvals(Trust([], mode=Mode.WARN, log=said.append), lying, keeper=keeper, log=said.append)
    approved = warn.of_request(request_)
    assert approved.fault is not None
    assert approved.fault.reason is Reason.UNSIGNED
    assert "refuses to sign" in said[0]
    off = Approvals(Trust([], mode=Mode.OFF), lying, keeper=keeper)
    assert off.of_request(request_).fault is None
