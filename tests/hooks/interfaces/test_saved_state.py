"""What killed boxes left behind is used where it belongs, and removed where nobody can use it any more."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hooks.interfaces import netns_references, saved_state
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.netdev import find_interface
from hooks.interfaces.netns_references import network_namespace, referenced_namespaces
from hooks.interfaces.saved_state import remove_stale
from tests.hooks.interfaces.test_isolation import hold_in_child, isolated_settings, net, snapshot
from tests.netns import Topology

__all__ = ["net"]

pytestmark = pytest.mark.netns


def kill_a_box(net: Topology, directory: Path) -> Path:
    """Its record stays behind."""
    with hold_in_child(net.box, directory) as child:
        child.send_signal(signal.SIGKILL)
    (record,) = directory.iterdir()
    return record


def change(record: Path, **fields: Any) -> None:
    record.write_text(json.dumps({**json.loads(record.read_text()), **fields}))


def test_the_record_of_a_namespace_that_is_gone_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with Topology() as gone:
        record = kill_a_box(gone, tmp_path).rename(tmp_path / "1-2.json")  # its own number may be another's by now
    with Topology() as net, net.box.entered(), Isolation("outside", state_directory=tmp_path):
        assert not record.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_records_of_living_namespaces_stay_held_or_not(net: Topology, tmp_path: Path) -> None:
    record = kill_a_box(net, tmp_path)
    assert remove_stale(tmp_path) == []
    with hold_in_child(net.box, tmp_path) as child:
        change(record, boot="another")
        assert remove_stale(tmp_path) == [], "a box holds it"
        child.terminate()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["a thread", "a descriptor", "a name"])
def test_what_keeps_a_namespace_is_seen(net: Topology, how: str) -> None:
    with net.box.entered():
        inside = network_namespace()
        if how == "a thread":
            net.box.close()
            assert inside in (referenced_namespaces() or ())
    if how == "a descriptor":
        held = os.open(net.box.path, os.O_RDONLY)
        assert inside in (referenced_namespaces() or ())
        net.box.close()
        assert inside in (referenced_namespaces() or ())
        os.close(held)
    if how == "a name":
        assert inside in (referenced_namespaces() or ())
    assert 1 not in (referenced_namespaces() or ())


def test_a_record_of_another_pid_namespace_stays(net: Topology, tmp_path: Path) -> None:
    record = kill_a_box(net, tmp_path)
    change(record, processes=1)
    net.box.close()
    assert remove_stale(tmp_path) == []


def test_nothing_is_removed_where_processes_can_not_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Topology() as gone:
        record = kill_a_box(gone, tmp_path).rename(tmp_path / "1-2.json")
    with monkeypatch.context() as patch:
        patch.setattr(netns_references, "PROC", tmp_path)
        patch.setattr(saved_state, "pid_namespace", lambda: json.loads(record.read_text())["processes"])
        assert remove_stale(tmp_path) == []
    change(record, boot="another")
    with monkeypatch.context() as patch:
        patch.setattr(netns_references, "PROC", tmp_path)
        patch.setattr(saved_state, "pid_namespace", lambda: 1)
        assert remove_stale(tmp_path) == [record.name], "of another boot"


@pytest.mark.parametrize("fields", [{"boot": "another"}, {"namespace": 1}], ids=str)
def test_a_record_of_a_namespace_that_had_the_same_number_is_not_used(
    net: Topology, tmp_path: Path, fields: dict[str, Any]
) -> None:
    """It says that IPv6 was off and that the interface was down."""
    with net.box.entered():
        before = snapshot(net.box)
        index = find_interface("outside").index
        ethernet = find_interface("outside").ethernet
        told = {"name": "outside", "ethernet": ethernet, "up": False, "offloads": [], "clsact": False}
        with Isolation("outside", state_directory=tmp_path):
            (record,) = tmp_path.iterdir()
            assert record.name == f"{network_namespace()}-{index}.json"
            text = record.read_text()
        record.write_text(text)
        change(record, before={**told, "disable_ipv6": "1"}, **fields)
        with Isolation("outside", state_directory=tmp_path):
            assert isolated_settings(net.box) == (True, False, "1")
        assert snapshot(net.box) == before
