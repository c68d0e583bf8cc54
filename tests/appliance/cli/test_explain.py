"""`tidegate explain` prints the pages of docs/rejections."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import shipped
from appliance.cli.main import main
from appliance.verifier.reports.rejections import Rejection


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize("kind", list(Rejection), ids=str)
def test_it_prints_the_page(kind: Rejection, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(kind.value) == 0
    assert capsys.readouterr().out == Path(kind.page).read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [(), ("--list",)], ids=str)
def test_it_lists_the_kinds(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(Rejection)
    assert "packet-bounds" in lines[9]
    assert lines[9].endswith("Bytes of the packet are accessed that may not be there")


@pytest.mark.parametrize("arguments", [("no-kind",), ("budget", "--list")], ids=str)
def test_wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_pages_that_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    assert run("budget") == 2
    assert "docs/rejections/budget.md is missing from this installation" in capsys.readouterr().err
