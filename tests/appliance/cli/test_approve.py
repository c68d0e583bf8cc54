"""`tidegate keygen`, `approve`, and `inspect` of what was approved: as an operator types them, one after the other."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.keys import PrivateKey, PublicKey
from tests.appliance.cli.conftest import ROOT, Tidegate

FIREWALL = ROOT / "programs" / "xdp_firewall.bpf.o"
SAMPLE = ROOT / "programs" / "xdp_sample.bpf.o"


@pytest.fixture(autouse=True)
def untraced_provers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may open no file can't write what a tracer saw, and would say so."""
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        monkeypatch.delenv(name)


@pytest.fixture
def pem(tidegate: Tidegate, tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    assert tidegate("keygen", "-o", path).status == 0
    return path


@pytest.fixture
def approved(tidegate: Tidegate, tmp_path: Path, pem: Path) -> Path:
    path = tmp_path / "sample.approved"
    said = tidegate("approve", SAMPLE, "--key", pem, "-o", path, "--expires", "30d", "--workers", 2)
    assert (said.status, said.err) == (0, "")
    return path


def test_a_key_is_two_files(tidegate: Tidegate, tmp_path: Path) -> None:
    said = tidegate("keygen", "-o", tmp_path / "release.pem")
    assert (said.status, said.err) == (0, "")
    private, public = PrivateKey.load(tmp_path / "release.pem"), PublicKey.load(tmp_path / "release.pub")
    assert private.public == public
    assert public.id in said.out
    assert stat.S_IMODE((tmp_path / "release.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "release.pub").stat().st_mode) == 0o644
    secret = (tmp_path / "release.pem").read_text().splitlines()[1]
    assert secret not in said.out


@pytest.mark.parametrize("name", ["release.pem", "release.pub"])
def test_no_key_is_overwritten(name: str, tidegate: Tidegate, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    message = tidegate("keygen", "-o", tmp_path / "release.pem").refused()
    assert "it exists already" in message
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_private_key_does_not_take_the_public_ones_name(tidegate: Tidegate, tmp_path: Path) -> None:
    assert "would have this name" in tidegate("keygen", "-o", tmp_path / "key.pub").refused()
    assert list(tmp_path.iterdir()) == []


def test_what_was_approved_holds(tidegate: Tidegate, approved: Path, pem: Path) -> None:
    said = tidegate("inspect", approved, "--key", pem.with_suffix(".pub"))
    assert (said.status, said.err) == (0, "")
    assert said.out.endswith("it holds\n")
    for words in ("from outside xdp_sample", "workers: 2", "linux xdp, ", "ringbuf_reserve", "programs ("):
        assert words in said.out


def test_the_document_of_an_approval(tidegate: Tidegate, approved: Path, pem: Path) -> None:
    said = tidegate("inspect", approved, "--key", pem.with_suffix(".pub"), "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    file = ApprovedFile.load(approved)
    assert document["holds"] is True
    assert document["faults"] == []
    assert document["keys"] == [PublicKey.load(pem.with_suffix(".pub")).id]
    assert document["approval"] == file.approval.digest
    assert document["expires"] - document["issued"] == 30 * 86_400
    assert abs(document["issued"] - time.time()) < 120
    assert (document["inward"], document["outward"], document["workers"]) == ("xdp_sample", None, 2)
    assert document["objects"][0]["size"] == len(SAMPLE.read_bytes())
    assert {program["hook"] for program in document["programs"]} == {"xdp"}
    assert [image["size"] for image in document["images"]] == [len(image.data) for image in file.built.images]


def reasons(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [fault["reason"] for fault in document["faults"]]


def test_nobody_is_trusted_unless_he_is_named(tidegate: Tidegate, approved: Path) -> None:
    said = tidegate("inspect", approved, "--json")
    assert said.status == 1
    assert reasons(said.document) == ["unknown_key"]
    words = tidegate("inspect", approved)
    assert words.status == 1
    assert "it does not hold:\n  - it is signed by a key that is not trusted: " in words.out


def test_everything_that_does_not_hold_is_told(tidegate: Tidegate, approved: Path, pem: Path, tmp_path: Path) -> None:
    file = ApprovedFile.load(approved)
    data = bytearray(approved.read_bytes())
    data[-1] ^= 1  # the last image
    data[data.index(file.request.object.data) + len(file.request.object.data) - 1] ^= 1
    approved.write_bytes(data)
    revoked = tmp_path / "revoked"
    revoked.write_text(f"approval {file.approval.digest}\n")
    said = tidegate("inspect", approved, "--key", pem.with_suffix(".pub"), "--revoked", revoked, "--json")
    assert said.status == 1
    assert {"revoked", "object", "code"} <= set(reasons(said.document))


def test_trust_as_a_box_has_it(tidegate: Tidegate, approved: Path, pem: Path, box: Path) -> None:
    box.write_text(box.read_text() + f"trust: {{keys: [{pem.with_suffix('.pub')}]}}\n")
    assert tidegate("inspect", approved, "--config", box).status == 0
    key = f"{{file: {pem.with_suffix('.pub')}, until: 2020-01-01}}"
    box.write_text(box.read_text().replace(f"[{pem.with_suffix('.pub')}]", f"[{key}]"))
    said = tidegate("inspect", approved, "--config", box, "--json")
    assert reasons(said.document) == ["key_no_longer"]


def test_a_file_that_is_cut_is_refused(tidegate: Tidegate, approved: Path) -> None:
    approved.write_bytes(approved.read_bytes()[:-1])
    message = tidegate("inspect", approved).refused()
    assert "no approval that can be read: its parts are not as long as it says" in message


def test_of_several_programs_one_is_named(tidegate: Tidegate, unsafe: Path, pem: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.approved"
    message = tidegate("approve", unsafe, "--key", pem, "-o", out).refused()
    assert "holds 2 programs" in message
    assert "--program: good, bad" in message
    said = tidegate("approve", unsafe, "--key", pem, "-o", out, "--program", "good")
    assert said.status == 0
    assert ApprovedFile.load(out).request.inward == "good"


def test_what_is_not_accepted_is_not_approved(tidegate: Tidegate, unsafe: Path, pem: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.approved"
    message = tidegate("approve", unsafe, "--key", pem, "-o", out, "--program", "bad").refused()
    assert "bad" in message
    assert not out.exists()
    missing = tidegate("approve", unsafe, "--key", pem, "-o", out, "--program", "none").refused()
    assert "no program 'none' in the object" in missing


def test_a_key_is_not_made_by_the_way(tidegate: Tidegate, tmp_path: Path) -> None:
    out = tmp_path / "out.approved"
    message = tidegate("approve", SAMPLE, "--key", tmp_path / "none.pem", "-o", out).refused()
    assert "no such file" in message
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_others_can_read_signs_nothing(tidegate: Tidegate, pem: Path, tmp_path: Path) -> None:
    pem.chmod(0o644)
    message = tidegate("approve", SAMPLE, "--key", pem, "-o", tmp_path / "out.approved").refused()
    assert "others may read it (mode 0644)" in message
    assert f"chmod 600 {pem}" in message
    link = tmp_path / "link.pem"
    link.symlink_to(pem)
    assert "symbolic link" in tidegate("approve", SAMPLE, "--key", link, "-o", tmp_path / "out.approved").refused()
    pem.chmod(0o600)
    pem.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "it holds no private key" in tidegate("approve", SAMPLE, "--key", pem, "-o", tmp_path / "out").refused()


@pytest.mark.parametrize("time_", ["90", "0d", "-1d", "1y", "99999d", "d"])
def test_a_time_is_a_number_and_a_unit(time_: str, tidegate: Tidegate, pem: Path, tmp_path: Path) -> None:
    message = tidegate("approve", SAMPLE, "--key", pem, "-o", tmp_path / "x", f"--expires={time_}").refused(2)
    assert "write 90d, 12h or 30m" in message


def test_an_object_is_shown_as_before(tidegate: Tidegate) -> None:
    said = tidegate("inspect", FIREWALL, "--json")
    assert said.status == 0
    assert "programs" in said.document
