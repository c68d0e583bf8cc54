"""Who else may stand in the box's place, for comparison: a bridge alone, and a bridge behind nftables.

nftables judges at the ingress of `outside` (family netdev), the earliest place that it has; what it doesn't drop, the
bridge carries on. Its rules are the closest to the default rule set (`configs/rulesets/default.nft`), whatever rules
the box beside it has.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shutil import which

from appliance.lab.errors import LabFailed
from appliance.lab.network import INSIDE, OUTSIDE, LabNetwork
from appliance.lab.report import BoxCounts
from appliance.shipped import shipped

RULES = "configs/rulesets/default.nft"
TABLE = ("netdev", "tidegate_peer")
BRIDGE = "bridge"


class BridgeBox:
    """A Linux bridge: carries all, judges nothing. For one thread."""

    @contextmanager
    def running(self, network: LabNetwork) -> Iterator[None]:
        for scope in ("all", "default"):
            network.box.sysctl(f"ipv6/conf/{scope}/disable_ipv6", 1)
        with suppress(FileNotFoundError):  # br_netfilter, which would take its frames to iptables besides
            network.box.sysctl("bridge/bridge-nf-call-iptables", 0)
        network.box.add_bridge(BRIDGE, (OUTSIDE, INSIDE))
        try:
            yield
        finally:
            network.box.delete_link(BRIDGE)

    def check(self) -> None:
        """A bridge doesn't end by itself."""

    def counts(self) -> BoxCounts:
        return BoxCounts()


class NftablesBox(BridgeBox):
    """A bridge behind nftables. For one thread."""

    @contextmanager
    def running(self, network: LabNetwork) -> Iterator[None]:
        """Raises LabFailed if nftables isn't there or refuses the rules."""
        if lack := no_nftables():
            raise LabFailed(lack)
        with super().running(network):
            self._nft(network, "-f", str(shipped(RULES)))
            try:
                yield
            finally:
                self._nft(network, "delete", "table", *TABLE)

    @staticmethod
    def _nft(network: LabNetwork, *words: str) -> None:
        try:
            network.box.run(["nft", *words])
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "it said nothing").strip().splitlines()[0]
            raise LabFailed(f"`nft {words[0]}`: {said}", hint="does this kernel have nf_tables?") from None


def no_nftables() -> str | None:
    """Why nftables can't stand here; None if it can."""
    return None if which("nft") else "nft is not installed (Debian's package nftables)"
