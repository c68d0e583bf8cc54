"""Passages whose interfaces vanish at the worst moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from appliance.box.box import Box
from appliance.box.config import PassageConfig
from appliance.box.traffic import Traffic
from appliance.datapath.wiring import Passage
from appliance.epochs import GracePeriodExpired
from hooks.errors import InterfaceError
from hooks.opener.opener import Opener
from tests.appliance.box.wire import interface_settings
from tests.appliance.datapath.conftest import an_opener, this_process
from tests.netns import Topology


class NoDatapath:
    """It forwards nothing, and its rings have no room for any other MTU."""

    def statistics(self) -> dict[str, object]:
        return {}

    def follow_mtu(self, interface: object) -> bool:
        return False

    def rewire(self, passages: Sequence[Passage]) -> int:
        return 0

    def halt(self) -> None: ...

    def close(self) -> None: ...


def names(passages: Sequence[Passage]) -> list[str]:
    return [interface.name for passage in passages for interface in passage.interfaces]


@pytest.mark.parametrize("by", [this_process, an_opener])
def test_an_interface_that_vanishes_while_rings_open_stops_no_other_passage(
    monkeypatch: pytest.MonkeyPatch, by: Callable[[], AbstractContextManager[Opener]]
) -> None:
    said: list[str] = []
    wired: list[list[str]] = []
    with Topology() as net:

        class Vanishing(NoDatapath):
            def __init__(self, passages: Sequence[Passage], run: object, **options: object) -> None:
                wired.append(names(passages))

            def rewire(self, passages: Sequence[Passage]) -> int:
                wired.append(names(passages))
                if len(wired) == 2:
                    net.box.delete_link("right")
                    raise InterfaceError("no packet rings: No such device", where="right")
                return 0

        monkeypatch.setattr("appliance.box.traffic.Datapath", Vanishing)
        for name in ("left", "right"):
            net.box.add_veth(name, net.inside, f"far-{name}")
        configs = [PassageConfig("outside", "inside"), PassageConfig("left", "right")]
        with (
            net.box.entered(),
            by() as opener,
            Traffic(configs, lambda _: 0, workers=1, log=said.append, opener=opener) as traffic,
        ):
            for name in ("left", "right"):
                net.box.set_link(name, mtu=1400)
            traffic.watch()
    assert wired == [["outside", "inside", "left", "right"]] * 2 + [["outside", "inside"]] * 2
    assert said == [
        "outside <-> inside: serving",
        "left <-> right: serving",
        "left: its MTU is 1400 bytes now, it was 1500",
        "right: its MTU is 1400 bytes now, it was 1500",
        "left <-> right: an interface is gone; waiting for it",
    ]


def test_a_worker_that_does_not_end_leaves_no_interface_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung(NoDatapath):
        def halt(self) -> None:
            raise GracePeriodExpired(["worker 0"], 5)

    monkeypatch.setattr("appliance.box.traffic.Datapath", lambda *passages, **options: Hung())
    with Topology() as net, net.box.entered():
        before = interface_settings(net)
        traffic = Traffic([PassageConfig("outside", "inside")], lambda _: 0, workers=1, log=print)
        assert interface_settings(net) != before
        with pytest.raises(GracePeriodExpired, match=r"^waited 5 s for worker 0: no quiescent state"):
            traffic.close()
        assert interface_settings(net) == before


def test_a_worker_that_does_not_end_when_rings_close_ends_the_box(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever `on_failure` says: its rings can't be closed under it, and without other ones nothing is served."""

    class Hung(NoDatapath):
        def rewire(self, passages: Sequence[Passage]) -> int:
            raise GracePeriodExpired(["worker 0"], 5)

    monkeypatch.setattr("appliance.box.traffic.Datapath", lambda *passages, **options: Hung())
    box = Box(tmp_path / "box.yaml", print)
    with Topology() as net, net.box.entered():
        traffic = Traffic([PassageConfig("outside", "inside")], lambda _: 0, workers=1, log=print)
        for name in ("outside", "inside"):
            net.box.set_link(name, mtu=1400)
        with pytest.raises(GracePeriodExpired):
            box._watch(traffic)
        assert traffic.stuck
        traffic.put_back()
