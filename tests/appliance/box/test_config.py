"""A box's document that is wrong in several places: one run tells all of them, each where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.config import load_box_config
from appliance.rules.errors import RuleSetRefused

ONE = "  - {outside: a, inside: b}\n"
TOO_LONG = "  - {outside: enp0s31f6-uplink-a, inside: d}\n"
REDIRECT = "rules: [{id: r, action: redirect, redirect: {to: eth9}}]\n"


def told(path: Path, text: str) -> list[str]:
    """What is refused, each with its line and column."""
    path.write_text(text)
    with pytest.raises(RuleSetRefused) as refused:
        load_box_config(path)
    return [f"{defect.where.line}:{defect.where.column}: {defect.what}" for defect in refused.value.defects]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "version: 7\ninterfaces:\n" + ONE + "  - {outside: b, mode: tap}\nmetrics: {listen: nowhere}\n",
            ["1:10: ", "4:15: interface b is used twice", "5:19: 'nowhere' is not an address and a port"],
        ),
        (
            "version: 1\ninterfaces:\n" + TOO_LONG + "  - {outside: a}\n",  # the second is told, at its own place
            ["3:15: ", "4:5: an inline passage needs `inside`"],
        ),
        ("interfaces:\n" + ONE + "  - {outside: a, mode: tap}\n", ["", "3:15: interface a is used twice"]),
        (
            "version: 1\ninterfaces:\n" + ONE + "metricks: 1\nworkers: 0\nrules: [{id: r, action: fly}]\n",
            ["4:1: unknown key 'metricks'", "5:10: ", "6:25: "],
        ),
        ("version: 1\ninterfaces: 5\nmetrics: {listen: nowhere}\n", ["2:13: "]),  # nothing is a box without any
    ],
)
def test_every_mistake_is_told_in_one_run(tmp_path: Path, text: str, wanted: list[str]) -> None:
    found = told(tmp_path / "box.yaml", text)
    assert len(found) == len(wanted), found
    assert all(one.startswith(begin) for one, begin in zip(found, wanted, strict=True)), found


def test_who_serves_an_interface_is_not_asked_while_one_is_misspelt(tmp_path: Path) -> None:
    text = "version: 1\ninterfaces:\n" + ONE + REDIRECT
    assert any("eth9" in each for each in told(tmp_path / "box.yaml", text))
    found = told(tmp_path / "box.yaml", text.replace(ONE, ONE + TOO_LONG.replace("inside: d", "inside: eth9")))
    assert len(found) == 1, found
    assert "uplink" in found[0] or "15 characters" in found[0], found
