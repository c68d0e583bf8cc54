"""A tap hears both directions as one: connections are tracked there as on a line that carries one direction only."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.config import load_box_config

TAP, INLINE = "{outside: a0, mode: tap}", "{outside: b0, inside: b1}"


@pytest.mark.parametrize(
    ("passages", "asymmetric"),
    [(TAP, True), (INLINE, False), (f"{INLINE}, {TAP}", True)],
    ids=["tap", "inline", "both"],
)
def test_what_tells_directions_apart_is_not_asked_of_a_tap(tmp_path: Path, passages: str, asymmetric: bool) -> None:
    path = tmp_path / "box.yaml"
    path.write_text(f"version: 1\ninterfaces: [{passages}]\nconnections: {{}}\n")
    rules = load_box_config(path).rules
    assert rules is not None and rules.connections is not None
    assert rules.connections.asymmetric is asymmetric


def test_a_tap_without_connections_tracks_none(tmp_path: Path) -> None:
    path = tmp_path / "box.yaml"
    path.write_text(f"version: 1\ninterfaces: [{TAP}]\n")
    rules = load_box_config(path).rules
    assert rules is not None and rules.connections is None
