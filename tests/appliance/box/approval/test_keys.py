"""Keys in files: who may have them, what is refused, and that nothing ever prints one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.approval.files import FileRefused, make_new, read_guarded, replace_file, secret
from appliance.box.approval.floor import Floor
from appliance.box.approval.keys import LARGEST_KEY, KeyRefused, PrivateKey, PublicKey
from appliance.box.approval.statements.forms import Malformed
from tests.capabilities import requires

NOBODY = 65534


@pytest.fixture
def public_file(tmp_path: Path, key: PrivateKey) -> Path:
    path = tmp_path / "key.pub"
    path.write_bytes(key.public.pem())
    path.chmod(0o644)
    return path


def test_what_is_saved_is_loaded(key_file: Path, public_file: Path, key: PrivateKey) -> None:
    assert PrivateKey.load(key_file).public == key.public == PublicKey.load(public_file)
    assert key.public.verifies(PrivateKey.load(key_file).sign(b"x"), b"x")


def test_a_private_key_has_no_words_for_itself(key_file: Path, key: PrivateKey) -> None:
    digits = key_file.read_text().splitlines()[1]
    for said in (repr(key), str(key), f"{key}", repr([key]), repr(key.public)):
        assert digits[:16] not in said
        assert "PRIVATE" not in said
    with pytest.raises(TypeError, match="stays in the process"):
        pickle.dumps(key)
    assert not hasattr(key, "__dict__")


def test_nothing_is_overwritten(key_file: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(FileRefused, match="it exists already"):
        PrivateKey.generate().save(key_file)
    assert key_file.read_bytes() == before


def test_a_umask_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        PrivateKey.generate().save(tmp_path / "key.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_private_key_is_its_owners_alone(mode: int, key_file: Path) -> None:
    key_file.chmod(mode)
    with pytest.raises(FileRefused, match=f"mode {mode:04o}"):
        PrivateKey.load(key_file)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_public_key_is_nobody_elses_to_change(mode: int, public_file: Path) -> None:
    public_file.chmod(mode)
    with pytest.raises(FileRefused, match="others may change it"):
        PublicKey.load(public_file)


@requires("root")
def test_somebody_elses_file_is_not_read(key_file: Path, public_file: Path) -> None:
    for path, load in ((key_file, PrivateKey.load), (public_file, PublicKey.load)):
        os.chown(path, NOBODY, -1)
        with pytest.raises(FileRefused, match=f"belongs to user {NOBODY}"):
            load(path)


def test_a_link_is_not_followed(key_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.pem"
    link.symlink_to(key_file)
    with pytest.raises(FileRefused, match="symbolic link"):
        PrivateKey.load(link)
    with pytest.raises(FileRefused, match="exists already"):
        PrivateKey.generate().save(link)
    dangling = tmp_path / "dangling.pem"
    dangling.symlink_to(tmp_path / "target.pem")
    with pytest.raises(FileRefused):
        PrivateKey.generate().save(dangling)
    assert not (tmp_path / "target.pem").exists()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(FileRefused, match=r"regular file|directory"):
            PrivateKey.load(path)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.pem"
    make_new(path, b"x" * (LARGEST_KEY + 1), 0o600)
    with pytest.raises(FileRefused, match=f"larger than {LARGEST_KEY}"):
        PrivateKey.load(path)


def test_keys_of_other_kinds_are_told(tmp_path: Path, key_file: Path, public_file: Path) -> None:
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_new(tmp_path / "rsa.pem", pem, 0o600)
    with pytest.raises(KeyRefused, match="another kind"):
        PrivateKey.load(tmp_path / "rsa.pem")
    public = rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    make_new(tmp_path / "rsa.pub", public, 0o644)
    with pytest.raises(KeyRefused, match="another kind"):
        PublicKey.load(tmp_path / "rsa.pub")
    locked = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    make_new(tmp_path / "locked.pem", locked, 0o600)
    with pytest.raises(KeyRefused, match="encrypted"):
        PrivateKey.load(tmp_path / "locked.pem")
    with pytest.raises(KeyRefused, match="give the public one"):
        PublicKey.load(key_file)
    public_file.chmod(0o600)
    with pytest.raises(KeyRefused, match="no private key"):
        PrivateKey.load(public_file)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_another_key_or_none(
    data: st.DataObject, key: PrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pem = bytearray(key.public.pem())
    bit = data.draw(st.integers(0, len(pem) * 8 - 1))
    pem[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.mktemp("keys") / "key.pub"
    make_new(path, bytes(pem), 0o644)
    try:
        other = PublicKey.load(path)
    except KeyRefused:
        return
    text = bytes(pem).decode("latin-1").split("-----")[2]
    same = "".join(text.split()) == "".join(key.public.pem().decode().split("-----")[2].split())
    assert (other == key.public) is same  # a line's end that became another white space says nothing


def test_what_a_broken_key_file_says_holds_no_byte_of_it(key_file: Path) -> None:
    digits = key_file.read_text().splitlines()[1]
    key_file.write_text(f"-----BEGIN PRIVATE KEY-----\n{digits[:-8]}\n-----END PRIVATE KEY-----\n")
    with pytest.raises(KeyRefused) as raised:
        PrivateKey.load(key_file)
    assert digits[:12] not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"one", b"two"):
        replace_file(path, data, 0o600)
        assert bytes(read_guarded(path, secret(10))) == data
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(FileRefused, match="no such file"):
        replace_file(tmp_path / "none" / "file", b"x", 0o600)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileRefused):
        replace_file(tmp_path / "folder", b"x", 0o600)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_what_was_accepted_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / "accepted"
    floor = Floor(path)
    assert floor.of("a") == 0
    floor.lift("a", 7)
    floor.lift("a", 5)
    floor.lift("b", 3)
    again = Floor(path)
    assert (again.of("a"), again.of("b"), again.of("c")) == (7, 3, 0)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_fork_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "accepted"
    floor = Floor(path)
    floor.lift("a", 7)
    child = os.fork()
    if not child:
        floor.lift("a", 9)
        os._exit(int(floor.of("a") != 9))
    assert os.waitpid(child, 0)[1] == 0
    assert Floor(path).of("a") == 7


@pytest.mark.parametrize("text", [b"", b"[]", b'{"a":-1}', b'{"a":1,}', b'{"a": 1}', b'{"a":9007199254740993}'])
def test_a_file_that_says_nothing_is_not_begun_anew(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "accepted"
    make_new(path, text, 0o600)
    with pytest.raises(Malformed, match="does not say what was accepted"):
        Floor(path)
