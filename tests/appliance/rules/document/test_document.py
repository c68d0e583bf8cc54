"""YAML to data with places; everything hostile ends in a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.rules.document.document import parse_document, read_document
from appliance.rules.document.yaml_nodes import scalar
from appliance.rules.errors import RuleSetRefused


def _refusal(text: str) -> str:
    with pytest.raises(RuleSetRefused) as refused:
        parse_document(text, "r.yaml")
    return str(refused.value)


def test_every_key_and_value_has_its_place() -> None:
    document = parse_document("a:\n  - {b: 1}\n  - c\n", "r.yaml")
    assert document.data == {"a": [{"b": 1}, "c"]}
    assert str(document.place(("a", 0, "b"))) == "r.yaml:2:9"
    assert str(document.place(("a", 0, "b"), key=True)) == "r.yaml:2:6"
    assert str(document.place(("a", 1))) == "r.yaml:3:5"
    assert document.place(("a", 1)).text == "  - c"


def test_a_place_that_is_not_there_is_the_nearest_around_it() -> None:
    document = parse_document("a: {b: 1}", "r.yaml")
    assert str(document.place(("a", "missing", 4))) == "r.yaml:1:4"
    assert str(document.place(("missing",))) == "r.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("12", 12),
        ("-3", -3),
        ("0x800", 0x800),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("1024-65535", "1024-65535"),
        ("192.0.2.1", "192.0.2.1"),
        ("1" * 31, 1.111111111111111e30),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_are_text() -> None:
    assert parse_document("a: '12'\nb: \"true\"\nc: ''", "r.yaml").data == {"a": "12", "b": "true", "c": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "r.yaml:2:1: key 'a' is given twice\n  hint: it is first given at r.yaml:1:1"),
        (
            "a: &x [1]\nb: *x",
            "r.yaml:1:4: anchors and aliases aren't supported\n"
            '  hint: give the list a name under `sets:` and use it as "@name"',
        ),
        (
            "a: !!str x",
            "r.yaml:1:4: the tag tag:yaml.org,2002:str isn't supported\n  hint: write the value without it",
        ),
        (
            "a: 1\n---\nb: 2",
            "r.yaml:2:1: a second document begins here\n  hint: remove the `---` line, or make it two files",
        ),
        ("[" * 100, "r.yaml:1:34: nested deeper than 32 levels"),
        ("? [a]\n: b", "r.yaml:1:3: a key must be a word\n  hint: look for a bracket too many"),
        ("a: \0", "r.yaml:1:4: this isn't YAML: a control character stands here\n  hint: remove it"),
        (
            "rules: [",
            "r.yaml:1:9: this isn't YAML: while parsing a flow node, did not find expected node content\n"
            "  hint: look at the indentation and the brackets",
        ),
        (
            'a: "\\ud800"',
            "r.yaml:1:7: this isn't YAML: while parsing a quoted scalar, found invalid Unicode character escape code\n"
            "  hint: write the character itself",
        ),
    ],
)
def test_what_is_refused_and_how(text: str, message: str) -> None:
    assert _refusal(text) == message


def test_a_tab_is_named() -> None:
    assert "hint: indent with spaces: YAML allows no tab there" in _refusal("a:\n\tb: c")


def test_every_duplicate_key_is_told() -> None:
    with pytest.raises(RuleSetRefused) as refused:
        parse_document("a: 1\na: 2\nb: {c: 1, c: 2}", "r.yaml")
    assert [str(defect.where) for defect in refused.value.defects] == ["r.yaml:2:1", "r.yaml:3:11"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nb: café".encode("latin-1"))
    for path, message in [
        (tmp_path / "none.yaml", f"{tmp_path}/none.yaml: can't read the file: no such file or directory"),
        (tmp_path, f"{tmp_path}: can't read the file: is a directory"),
        (latin, f"{latin}:2:7: byte 0xe9 isn't UTF-8 text\n  hint: save it as UTF-8"),
    ]:
        with pytest.raises(RuleSetRefused) as refused:
            read_document(path)
        assert str(refused.value) == message


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_document(path).data == {"a": 1}


@given(st.text(alphabet=st.sampled_from("ab:{}[]-\n \"'#&*!|>%@`,?\\\t0"), max_size=60))
def test_any_text_is_data_or_a_message(text: str) -> None:
    try:
        document = parse_document(text, "r.yaml")
    except RuleSetRefused as refused:
        assert str(refused).startswith("r.yaml:")
    else:
        assert document.places.has(())
