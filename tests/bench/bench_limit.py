"""The breaking point, as `tidegate lab --find-limit` looks for it: the box, nftables and no filter, on the same wires.

The clients are `visitors.c`, which take less of the machine than the lab's own, and whose requests tell each frame that
was lost; each rate is held two or three times, and what is compared are medians of several searches. `--only tidegate
nftables` leaves out the bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from appliance.lab.attacks.mix import USUAL_MIX
from appliance.lab.box import LabBox, TidegateBox
from appliance.lab.config import lab_config
from appliance.lab.limit.report import Limit
from appliance.lab.peers import BridgeBox, NftablesBox, no_nftables
from tests.bench.attacked import attacked
from tests.bench.figures import Bench, Compared, Figure, Target
from tests.bench.measuring import alternate, medians

ROUNDS = 3
SECONDS = 1.5  # of one window
HIGHEST_RATE = 1_500_000.0  # frames a second
MOST_STEPS = 9
OURS = "tidegate"
BOXES: Mapping[str, Callable[[], LabBox]] = {
    OURS: lambda: TidegateBox(lab_config(None)),
    "nftables": NftablesBox,
    "no filter": BridgeBox,
}


def main(bench: Bench) -> Iterator[Figure]:
    asked = [who for who in BOXES if not bench.only or who in bench.only]
    if "nftables" in asked and (lack := no_nftables()):
        asked.remove("nftables")
        yield Figure("breaking point: nftables", None, "", remark=f"not measured: {lack}")
    found = alternate(ROUNDS, {who: lambda who=who: _search(bench, who) for who in asked})
    samples = {who: [limit.best.offered if limit.best else 0.0 for limit in limits] for who, limits in found.items()}
    middle = medians(samples)
    through = medians({who: [_let_through(limit) for limit in limits] for who, limits in found.items()})
    for peer in (who for who in asked if who != OURS and OURS in asked):
        spread = ", ".join(f"{who} {min(samples[who]):,.0f} to {max(samples[who]):,.0f}" for who in (OURS, peer))
        yield Figure(
            name="breaking point",
            value=middle[OURS],
            unit="frames/s",
            peer=peer,
            peer_value=middle[peer],
            target=Target(Compared.RATIO, at_least=1) if peer == "nftables" else None,
            remark=f"{spread}; attack let through: {through[OURS]:.2f} %, {peer}'s {through[peer]:.2f} %",
            samples={who: samples[who] for who in (OURS, peer)},
        )


def _search(bench: Bench, who: str) -> Limit:
    with attacked(bench.tools, BOXES[who](), USUAL_MIX) as there:
        return there.find_limit(who, HIGHEST_RATE, MOST_STEPS, bench.window(SECONDS))


def _let_through(limit: Limit) -> float:
    """Percent of the attack, at the highest rate that was borne."""
    return 100 * limit.best.attack.delivered if limit.best else 0.0
