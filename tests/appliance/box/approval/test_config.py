"""`trust:` of a document, and what a box makes of it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.approval.config import FOREVER, KeyConfig, Mode, TrustConfig
from appliance.box.approval.configured import open_store, start_keeper, state_directory, trust_of
from appliance.box.approval.envelope import Approval
from appliance.box.approval.files import FileRefused
from appliance.box.approval.keeping.client import KeeperRefused
from appliance.box.approval.keys import KeyRefused, PrivateKey
from appliance.box.approval.reasons import NotApproved, Reason
from appliance.box.config import load_box_config
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from appliance.errors import InputRefused
from appliance.rules.errors import RuleSetRefused
from tests.appliance.box.approval.conftest import NOW, Signed

BOX = "version: 1\ninterfaces: [{outside: eth0, inside: eth1}]\n"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'state'}:/elsewhere")
    return tmp_path / "state"


@pytest.fixture
def said() -> Iterator[list[str]]:
    yield []


def trust_in(folder: Path, text: str) -> TrustConfig:
    path = folder / "box.yaml"
    path.write_text(BOX + text)
    return load_box_config(path).trust


def test_a_document_that_says_nothing_enforces_with_a_key_of_its_own(tmp_path: Path) -> None:
    config = trust_in(tmp_path, "")
    assert config == TrustConfig(Mode.ENFORCE)
    assert config.has_own_key


def test_paths_are_relative_to_the_document_and_days_are_whole(tmp_path: Path) -> None:
    keys = "[a.pub, {file: /etc/b.pub, since: 2027-01-01, until: '2027-01-02'}]"
    config = trust_in(tmp_path, f"trust: {{mode: warn, keys: {keys}, revoked: lists/revoked, key: own.pem}}")
    assert config == TrustConfig(
        Mode.WARN,
        (KeyConfig(tmp_path / "a.pub", 0, FOREVER), KeyConfig(Path("/etc/b.pub"), 1798761600, 1798934399)),
        tmp_path / "lists/revoked",
        tmp_path / "own.pem",
    )
    assert config.has_own_key


@pytest.mark.parametrize(
    ("text", "own"),
    [("{mode: 'off'}", False), ("{keys: [a.pub]}", False), ("{keys: [a.pub], key: b.pem}", True), ("{}", True)],
)
def test_who_has_a_key_of_his_own(text: str, own: bool, tmp_path: Path) -> None:
    assert trust_in(tmp_path, f"trust: {text}").has_own_key is own


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{mode: sometimes}", "mode"),
        ("{keys: [{until: '2027-01-01'}]}", "file"),
        ("{keys: [{file: a.pub, until: '2027-02-30'}]}", "isn't a day"),
        ("{keys: [{file: a.pub, until: soon}]}", "isn't a day, as in"),
        ("{secret: x}", "secret"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RuleSetRefused, match=words) as raised:
        trust_in(tmp_path, f"trust: {text}")
    assert "box.yaml:3" in str(raised.value)


def test_the_first_start_makes_a_key_and_the_second_finds_it(state: Path, said: list[str]) -> None:
    config = TrustConfig()
    first = start_keeper(config, said.append)
    assert first is not None
    first.close()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "keeper.pem").stat().st_mode) == 0o600
    second = start_keeper(config, said.append)
    assert second is not None
    with second:
        assert second.public == first.public
        (own,) = trust_of(config, second, said.append).keys.values()
        assert (own.key, own.own) == (second.public, True)
        store = open_store(config, said.append)
        assert store is not None
        store.close()
        assert stat.S_IMODE((state / "code").stat().st_mode) == 0o700
    assert said == []


def test_where_nothing_can_be_written_the_key_ends_with_the_box(state: Path, tmp_path: Path, said: list[str]) -> None:
    state.write_text("a file where the directory should be")
    keeper = start_keeper(TrustConfig(), said.append)
    assert keeper is not None
    keeper.close()
    assert said == [f"{state} can't be written: the box's key ends with it, and nothing is remembered"]
    assert open_store(TrustConfig(), said.append) is None
    assert state_directory() == state


def test_a_key_that_is_named_must_be_usable(tmp_path: Path, key_file: Path, said: list[str]) -> None:
    key_file.chmod(0o644)
    with pytest.raises(KeeperRefused, match="others may read it"):
        start_keeper(TrustConfig(key=key_file), said.append)


def test_whoever_only_trusts_others_signs_nothing_and_remembers_nothing(
    tmp_path: Path, key: PrivateKey, said: list[str]
) -> None:
    public = tmp_path / "key.pub"
    public.write_bytes(key.public.pem())
    config = TrustConfig(keys=(KeyConfig(public, not_after=NOW),))
    assert start_keeper(config, said.append) is None
    assert open_store(config, said.append) is None
    (trusted,) = trust_of(config, None, said.append).keys.values()
    assert (trusted.key, trusted.not_after, trusted.own) == (key.public, NOW, False)


def test_what_was_accepted_is_remembered_over_restarts(
    tmp_path: Path, key: PrivateKey, signed: Signed, built: Built, request_: BuildRequest, said: list[str]
) -> None:
    public = tmp_path / "key.pub"
    public.write_bytes(key.public.pem())
    config = TrustConfig(keys=(KeyConfig(public),))
    assert trust_of(config, None, said.append).check(signed(serial=7), built, request_, NOW).fault is None
    with pytest.raises(NotApproved) as raised:
        trust_of(config, None, said.append).check(signed(serial=6), built, request_, NOW)
    assert raised.value.reason is Reason.REPLAYED


def test_files_that_are_not_what_they_should_be_are_told(
    tmp_path: Path, key_file: Path, approval: Approval, said: list[str]
) -> None:
    public, revoked = tmp_path / "key.pub", tmp_path / "revoked"
    with pytest.raises(FileRefused, match="no such file"):
        trust_of(TrustConfig(keys=(KeyConfig(public),)), None, said.append)
    with pytest.raises(KeyRefused, match="private key"):
        trust_of(TrustConfig(keys=(KeyConfig(key_file),)), None, said.append)
    revoked.write_text(f"# stolen\nkey {approval.signatures[0].key}\nkey nobody\n")
    with pytest.raises(InputRefused, match="revokes nothing") as raised:
        trust_of(TrustConfig(revoked=revoked), None, said.append)
    assert f"{revoked}:3" in str(raised.value)
    revoked.write_text(f"key {approval.signatures[0].key}\nserial {approval.digest} 12\napproval {approval.digest}\n")
    trust = trust_of(TrustConfig(revoked=revoked), None, said.append)
    assert trust.revoked.keys == {approval.signatures[0].key}
    assert trust.revoked.serials == {approval.digest: 12}
    assert trust.revoked.approvals == {approval.digest}
