"""What ships is found by one path, and is what people edit in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

import appliance.shipped
from appliance.errors import CannotRun
from appliance.rules.document.load import load_rule_set
from appliance.shipped import DEFAULT_RULES, shipped

LINKS = [path for path in Path("appliance/shipped").rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_a_link_leads_to_the_folder_of_its_name(link: Path) -> None:
    assert not link.readlink().is_absolute()
    assert link.resolve() == Path(link.relative_to("appliance/shipped")).resolve()


def test_there_are_links_alone() -> None:
    files = [
        path for path in Path("appliance/shipped").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert files == [Path("appliance/shipped/__init__.py")]
    links = [str(path.relative_to("appliance/shipped")) for path in sorted(LINKS)]
    assert links == ["configs", "docs/rejections", "programs/include", "programs/stages"]


def test_the_default_rule_set_finds_its_lists() -> None:
    assert shipped(DEFAULT_RULES).samefile(DEFAULT_RULES)
    assert load_rule_set(shipped(DEFAULT_RULES)).rules


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance.shipped, "files", lambda package: tmp_path)
    with pytest.raises(CannotRun, match="is missing from this installation") as caught:
        shipped(DEFAULT_RULES)
    assert caught.value.where == f"{tmp_path}/{DEFAULT_RULES}"
