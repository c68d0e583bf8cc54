"""The search in its network, short and at a low rate: everybody is measured, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.lab import peers
from appliance.lab.attacks.mix import USUAL_MIX
from appliance.lab.box import LabBox
from appliance.lab.limit.report import Step
from appliance.lab.limit.run import find_limits
from appliance.lab.network import LabNetwork
from appliance.lab.peers import BridgeBox, NftablesBox
from tests.appliance.box.conftest import TIDEGATE
from tests.appliance.lab.test_lab import namespaces_of
from tests.capabilities import requires

pytestmark = [pytest.mark.netns, requires("bpf")]
RATE = 5_000.0
SECONDS = 1.0  # no time for a third step
REQUESTS = 200  # in so short a search; none may be lost


class Leaky(BridgeBox):
    """A bridge that lets no echo request through."""

    @contextmanager
    def running(self, network: LabNetwork) -> Iterator[None]:
        rules = "add table bridge t; add chain bridge t c { type filter hook forward priority 0; }; "
        with super().running(network):
            network.box.run(["nft", rules + "add rule bridge t c icmp type echo-request drop"])
            yield


def limits_of(boxes: dict[str, LabBox], tried: list[tuple[str, Step]] | None = None) -> dict[str, dict[str, object]]:
    def on_step(who: str, step: Step) -> None:
        if tried is not None:
            tried.append((who, step))

    report = find_limits(None, USUAL_MIX, highest=RATE, seconds=SECONDS, on_step=on_step, standing=boxes)
    assert namespaces_of(os.getpid()) == []
    return {each["who"]: each for each in report.as_json()["limits"]}


@requires("nftables at ingress")
def test_peers_are_measured_on_the_same_wires() -> None:
    tried: list[tuple[str, Step]] = []
    found = limits_of({"nftables": NftablesBox(), "no filter": BridgeBox()}, tried)
    assert list(found) == ["nftables", "no filter"]
    assert [who for who, _ in tried] == ["nftables"] * 2 + ["no filter"] * 2
    for each in found.values():
        calm, attacked = each["steps"]
        assert calm["rate"] == calm["attack"]["sent"] == 0
        assert calm["good"]["sent"] >= REQUESTS
        assert attacked["rate"] == RATE
        assert attacked["attack"]["sent"] > 0
        assert attacked["offered"] < 1.3 * RATE
    held, let = (found[who]["steps"][1]["attack"] for who in found)
    assert held["received"] < 0.4 * held["sent"], "nftables holds the usual attacks back, but for some answers by DNS"
    assert let["received"] > 0.5 * let["sent"], "a bridge lets them through"


def test_who_loses_requests_in_peace_is_told_so() -> None:
    found = limits_of({"leaky": Leaky()})["leaky"]
    assert len(found["steps"]) == 1
    assert found["limit"] is None
    assert str(found["lack"]).endswith("requests answered without any attack")


def test_without_nft_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "which", lambda _: None)
    found = limits_of({"nftables": NftablesBox(), "no filter": BridgeBox()})
    assert found["nftables"]["lack"] == "nft is not installed (Debian's package nftables)"
    assert len(found["no filter"]["steps"]) >= 2


def test_the_command_tells_one_document_and_leaves_nothing() -> None:
    bounds, attacks = ["--rate", f"{RATE:g}", "--seconds", f"{SECONDS:g}"], ["--attack", "syn=3", "--attack", "dns"]
    command = [*TIDEGATE, "lab", "--find-limit", "--json", *bounds, *attacks]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["attack"] == {"syn": 3.0, "dns": 1.0}
    ours = document["limits"][0]
    assert [each["who"] for each in document["limits"]] == ["tidegate", "nftables", "no filter"]
    assert ours["lack"] is None
    assert ours["steps"][0]["holds"]
    attack = ours["steps"][1]["attack"]
    assert attack["received"] < 0.4 * attack["sent"], "some answers by DNS are let through"


def test_ctrl_c_leaves_nothing() -> None:
    with subprocess.Popen([*TIDEGATE, "lab", "--find-limit", "--json"], stdout=subprocess.PIPE) as child:
        end = time.monotonic() + 20
        while len(namespaces_of(child.pid)) < 5 and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(2.0)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) != 0
    assert namespaces_of(child.pid) == []
