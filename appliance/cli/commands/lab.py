"""`tidegate lab`: a network under attack in a few namespaces, with the box between, live; or its breaking point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from appliance.cli.limit_table import LimitView
from appliance.cli.output import json_option, print_json
from appliance.lab.attacks.mix import Mix, read_mix
from appliance.lab.attacks.names import KINDS
from appliance.lab.lab import ATTACK_RATE, run_lab
from appliance.lab.limit.run import HIGHEST_RATE, SECONDS_EACH, find_limits
from appliance.lab.report import LabReport, Traffic

SECONDS = 20.0
LOST_SHOWN = 5
ATTACK_LIMIT = 0.01  # an attack of which more gets through was not held back


@click.command()
@click.argument("config", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=86400),
    help=f"Length of the traffic, {SECONDS:g} by default; with --find-limit of each search, {SECONDS_EACH:g}.",
)
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    metavar="KIND[=SHARE]",
    help=f"An attack and its share of the frames, as often as you like: {', '.join(KINDS)}; each as KIND+vlan, too.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1, max=1e8),
    help=f"Frames a second of all attacks, {ATTACK_RATE:g} by default; with --find-limit the highest to try.",
)
@click.option("--find-limit", is_flag=True, help="Find the breaking point: of the box, of nftables, of no filter.")
@json_option
def command(
    config: Path | None,
    seconds: float | None,
    attacks: tuple[str, ...],
    rate: float | None,
    find_limit: bool,
    as_json: bool,
) -> None:
    """Run the box between attackers, clients and a server in a private network.

    CONFIG is a box or a rule set; the default is configs/rulesets/default.yaml. Needs root. Everything is made in
    network namespaces of its own, touches no real interface, and is removed at the end.

    With --find-limit, the rate of the attack is raised and lowered until it is known at how many frames a second 99.9 %
    of the good requests are still answered; by the box, by nftables with the rules closest to the default rule set, and
    by a bridge without any filter, in the same network. That takes less than three minutes.
    """
    mix = read_mix(attacks)
    if find_limit:
        _find_limit(config, mix, seconds or SECONDS_EACH, rate or HIGHEST_RATE, as_json)
    else:
        _run(config, mix, seconds or SECONDS, rate or ATTACK_RATE, as_json)


def _run(config: Path | None, mix: Mix, seconds: float, rate: float, as_json: bool) -> None:
    if as_json:
        print_json(run_lab(config, seconds, attack_rate=rate, mix=mix).as_json())
        return
    console = Console(highlight=False)
    console.print(f"attackers and clients ── tidegate ── server: {seconds:g} seconds, in a private network")
    with Live(Text("starting …"), console=console, transient=True) as live:

        def show(moment: LabReport) -> None:
            live.update(_view_that_fits(moment, console))

        report = run_lab(config, seconds, show, attack_rate=rate, mix=mix)
    console.print(_view(report))
    console.print(_summary(report))


def _find_limit(config: Path | None, mix: Mix, seconds: float, highest: float, as_json: bool) -> None:
    if as_json:
        print_json(find_limits(config, mix, highest=highest, seconds=seconds).as_json())
        return
    console = Console(highlight=False)
    console.print("the highest rate of attack at which 99.9 % of good requests are answered, in a private network")
    with Live(Text("starting …"), console=console, transient=True) as live:
        view = LimitView(live.update)
        report = find_limits(config, mix, highest=highest, seconds=seconds, on_step=view.add)
    console.print(view.table(report))


def _view_that_fits(report: LabReport, console: Console) -> Group:
    """Every kind of traffic, or, in a window too low for that, their totals: the end must not fall off."""
    lines = console.render_lines(_view(report), pad=False)
    return _view(report, totals_only=len(lines) >= console.height)


def _view(report: LabReport, totals_only: bool = False) -> Group:
    box = report.box
    good, attack = ({}, {}) if totals_only else (report.good_by_kind, report.attack_by_kind)
    return Group(
        Text(f"after {report.seconds:.0f} s"),
        _traffic("good traffic", "asked", "answered", good, report.good),
        Text(),
        _traffic("attack", "sent", "arrived", attack, report.attack),
        Text(),
        Text(
            f"the box: {box.received} frames received, {box.passed} passed, {box.dropped} dropped, "
            f"{box.capture_dropped} never seen"
        ),
        _rules(report),
    )


def _traffic(title: str, sent: str, received: str, kinds: Mapping[str, Traffic], total: Traffic) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title, width=34)
    for heading in (sent, received, "share"):
        table.add_column(heading, justify="right", width=12)
    for name, traffic in (*kinds.items(), ("total", total)):
        style = "bold" if name == "total" else ""
        share = f"{traffic.delivered:.2%}" if traffic.sent else "-"
        table.add_row(escape(name), str(traffic.sent), str(traffic.received), share, style=style)
    return table


def _rules(report: LabReport) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", width=34)
    table.add_column("frames", justify="right", width=12)
    busiest = sorted(report.box.rules.items(), key=lambda rule: -rule[1].packets)
    for id_, hits in busiest:
        if hits.packets:
            table.add_row(escape(id_), str(hits.packets))
    return table


def _summary(report: LabReport) -> Text:
    """What it comes to, for somebody who sees this for the first time."""
    good, attack = report.good, report.attack
    lost = good.sent - good.received
    served = "every good request was answered" if not lost else f"{lost} of {good.sent} good requests went unanswered"
    held = f"{attack.received} of {attack.sent} attack frames reached the server ({attack.delivered:.2%})"
    style = "green" if not lost and attack.delivered < ATTACK_LIMIT else "red"
    told = "".join(
        f"\n  {each.kind} from {each.source}{f' port {each.port}' if each.port else ''} after {each.seconds:.1f} s"
        for each in report.unanswered[:LOST_SHOWN]
    )
    return Text(f"\n{served}; {held}.{told}", style=style)
