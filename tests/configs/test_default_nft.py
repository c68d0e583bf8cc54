"""The default rule set in nftables' words: the same lists and rates, and Linux takes it."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

from appliance.lab.peers import TABLE
from hooks.interfaces.netns import Namespace
from tests.capabilities import requires
from tests.yaml_files import load

RULE_SETS = Path(__file__).parents[2] / "configs" / "rulesets"
TEXT = (RULE_SETS / "default.nft").read_text()


def elements(name: str) -> list[str]:
    found = re.search(rf"set {name} \{{.*?elements = \{{(.*?)\}}", TEXT, re.DOTALL)
    assert found is not None
    return [each.strip() for each in found[1].split(",")]


def test_the_bogons_are_the_same() -> None:
    lines = (RULE_SETS.parent / "lists" / "bogons.txt").read_text().splitlines()
    bogons = {ip_network(line.partition("#")[0].strip()) for line in lines if line.partition("#")[0].strip()}
    assert {ip_network(each) for each in (*elements("bogons4"), *elements("bogons6"))} == bogons


def test_the_rates_are_the_same() -> None:
    """A rate of the default rule set that isn't in nftables' words, or is another number there."""
    rules = [rule for part in (RULE_SETS / "parts").glob("*.yaml") for rule in load(part)["rules"]]
    ours = {rule["rate"]["pps"] for rule in rules if "rate" in rule}
    assert {int(pps) for pps in re.findall(r"limit rate over (\d+)/second", TEXT)} == ours


@requires("nftables at ingress")
def test_linux_takes_it(namespace: Namespace) -> None:
    other = Namespace(namespace.name)
    namespace.add_veth("outside", other, "far")
    namespace.run(["nft", "-f", str(RULE_SETS / "default.nft")])
    assert "jump udp_rules" in namespace.run(["nft", "list", "table", *TABLE]).stdout
