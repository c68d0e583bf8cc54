"""Writes the Grafana dashboard: `python -m dashboards.build` makes dashboards/tidegate.json.

Five rows, in the order in which somebody woken at night asks: is the box well, what does the traffic do, which rule
drops it, what is lost that should not be, and what does the box itself do.
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import (
    BLUE,
    DATASOURCE,
    GREEN,
    GREY,
    PURPLE,
    RED,
    YELLOW,
    PanelBuilder,
    gauge,
    graph,
    label,
    listing,
    tile,
    words,
)

TARGET = Path(__file__).with_name("tidegate.json")

VERDICT_COLOURS = {".*pass.*": GREEN, ".*drop.*": RED, ".*aborted.*": PURPLE, ".*tx.*": BLUE, ".*redirect.*": YELLOW}


def series(name: str, **labels: str) -> str:
    """A metric of the chosen box, where its labels have these values. A value with `|` or `+` is a pattern."""
    chosen = {"instance": "$instance", **labels}
    matchers = (f'{label}{"=~" if set(value) & set("|+") else "="}"{value}"' for label, value in chosen.items())
    return f"tidegate_{name}{{{','.join(matchers)}}}"


def rate(counter: str) -> str:
    """Per second, over the window that Grafana finds fit for the zoom."""
    return f"rate({counter}[$__rate_interval])"


def rates_by(labels: str, counter: str) -> str:
    """Rates, summed up by labels."""
    return f"sum by ({labels}) ({rate(counter)})"


RECEIVED = series("interface_packets_total", direction="receive")
DROPPED = series("interface_packets_total", direction="receive", verdict="drop")
KEEPING_OUT = "drop|block|reject"  # actions of rules that keep a frame out; `ID.blocked` is a drop
GOOD = series("interface_packets_total", direction="receive", verdict="pass|tx|redirect")


def at_a_glance() -> list[PanelBuilder]:
    """Eight tiles; all green means go back to sleep."""
    box = tile(
        "Box",
        'up{instance="$instance"}',
        "Whether Prometheus reaches the box. Down: see “The box is down” in the guide.",
    )
    up = f"min({series('interface_up')})"
    interfaces = tile("Interfaces", up, "Down if any interface of the box is. Look at the cable and at `ip link`.")
    meanings = {"1": ("up", GREEN), "0": ("DOWN", RED)}
    lost = f"sum({rate(series('capture_dropped_packets_total'))}) + sum({rate(series('transmit_errors_total'))})"
    failed = f"increase({series('reloads_total', result='failure')}[$__range])"
    return [
        words(box, meanings).span(3),
        words(interfaces, meanings).span(3),
        tile("Received", f"sum({rate(RECEIVED)})", "Frames a second on all interfaces.", unit="pps", span=3),
        tile("Good", f"sum({rate(GOOD)})", "Frames a second that go on their way.", unit="pps", span=3),
        tile(
            "Dropped",
            f"sum({rate(DROPPED)})",
            "Frames a second that the rules drop. Many: an attack is under way, see “Which rules drop”.",
            unit="pps",
            steps=[(1_000, YELLOW), (10_000, RED)],
            span=3,
        ),
        tile(
            "Drop share",
            f"sum({rate(DROPPED)}) / (sum({rate(RECEIVED)}) > 0) or vector(0)",
            "Dropped of received. High without an attack: a rule is too wide, see “Which rules drop”.",
            unit="percentunit",
            steps=[(0.2, YELLOW), (0.6, RED)],
            span=3,
        ),
        tile(
            "Lost",
            lost,
            "Frames a second that no rule asked to drop: the ring was full, or they could not be sent. Should be 0.",
            unit="pps",
            steps=[(0.001, RED)],
            span=3,
        ),
        tile(
            "Failed reloads",
            failed,
            "In the time shown. The box still runs the configuration it had; its log says what is wrong.",
            steps=[(0.5, RED)],
            span=3,
        ).decimals(0),
    ]


def traffic() -> list[PanelBuilder]:
    """What comes, what goes on, and what does not."""
    return [
        graph(
            "Good and dropped",
            {"good": f"sum({rate(GOOD)})", "dropped": f"sum({rate(DROPPED)})"},
            "Good stays level while dropped climbs: the box does its work. Both climb: the attack gets through.",
            stacked=True,
            colours={"good": GREEN, "dropped": RED},
        ),
        graph(
            "Verdicts by interface",
            {"{{interface}} {{verdict}}": rates_by("interface, verdict", RECEIVED)},
            "Frames received, by what became of them. `aborted` above 0: a program returned no verdict that exists.",
            colours=VERDICT_COLOURS,
        ),
        graph(
            "Bits received",
            {"{{interface}}": "8 * " + rates_by("interface", series("interface_bytes_total", direction="receive"))},
            "Compare with the speed of the line: a full line cannot be helped from here, only upstream.",
            unit="bps",
        ),
        graph(
            "Bits sent",
            {"{{interface}}": "8 * " + rates_by("interface", series("interface_bytes_total", direction="transmit"))},
            "What leaves the box. 0 on both sides while frames come in: the rules drop everything, or it is a tap.",
            unit="bps",
        ),
    ]


FIRST_WORD = "'kind', '$1', 'rule', '([^-.]+).*'"  # of a rule's name, for label_replace()


def rules() -> list[PanelBuilder]:
    """Which rule does it. Rules in monitor mode count what they would have dropped, and drop nothing."""
    enforced = series("rule_packets_total", action=KEEPING_OUT, mode="enforce")
    enforced_bytes = series("rule_bytes_total", action=KEEPING_OUT, mode="enforce")
    monitored = series("rule_packets_total", action=KEEPING_OUT, mode="monitor")
    blocked = series("rule_packets_total", rule=".+[.]blocked")
    everything = series("rule_packets_total")
    return [
        graph(
            "Which rules drop",
            {"{{rule}}": f"topk(10, {rates_by('rule', enforced)})"},
            "The ten rules that drop most. A rule that drops good traffic: give it `mode: monitor` and reload.",
        ),
        graph(
            "Dropped by kind",
            {"{{kind}}": f"sum by (kind) (label_replace({rates_by('rule', enforced)}, {FIRST_WORD}))"},
            "The rules' drops by the first word of their names: what kind of attack it is (docs/defence.md).",
        ),
        graph(
            "Which rules would drop",
            {"{{rule}}": f"topk(10, {rates_by('rule', monitored)}) or vector(0)"},
            "Rules in monitor mode. One that catches the attack and nothing else: give it `mode: enforce` and reload.",
        ),
        listing(
            "Frames by rule",
            {"rule": "Rule", "action": "Action", "mode": "Mode"},
            f"sum by (rule, action, mode) (increase({everything}[$__range]))",
            "In the time shown. `allowlist`, `policy` and `malformed` are what decided when no rule did.",
            value="Frames",
        ),
        graph(
            "Frames of blocked sources",
            {"{{rule}} {{mode}}": f"{rates_by('rule, mode', blocked)} or vector(0)"},
            "What came from sources that a rule has blocked, `ID.blocked` for each such rule. How many are blocked is "
            "`blocks.…` in the maps below.",
        ),
        graph(
            "Bits dropped by rule",
            {"{{rule}}": f"topk(10, 8 * {rates_by('rule', enforced_bytes)})"},
            "What each rule keeps off the line behind the box.",
            unit="bps",
        ),
    ]


def losses() -> list[PanelBuilder]:
    """Frames that nobody decided to drop. All of it should be 0."""
    return [
        graph(
            "Lost on the way in",
            {"{{interface}} {{reason}}": rates_by("interface, reason", series("capture_dropped_packets_total"))},
            "`ring_full`: more comes than the workers can judge; add workers. `truncated`: longer than a ring's slot.",
            span=8,
        ),
        graph(
            "Lost on the way out",
            {"{{interface}} {{reason}}": rates_by("interface, reason", series("transmit_errors_total"))},
            "`too_long`: raise the MTU of that interface. `ring_full`: its line is slower than what comes in.",
            span=8,
        ),
        graph(
            "Malformed frames",
            {"{{reason}}": rates_by("reason", series("parse_errors_total")) + " > 0 or vector(0)"},
            "Frames whose headers are cut short or contradict themselves. `defaults.malformed` decides about them.",
            span=8,
        ),
    ]


def box() -> list[PanelBuilder]:
    """The box's own state."""
    return [
        gauge(
            "Map fill",
            "{{map}}",
            f"{series('map_entries')} / {series('map_capacity')}",
            "Named by a rule and the key that sizes it. Full: it forgets its oldest entries; raise the key and reload.",
            steps=[(0.7, YELLOW), (0.9, RED)],
        ),
        graph(
            "Processor",
            {
                "datapath": rate(series("datapath_cpu_seconds_total")),
                "control": rate(series("process_cpu_seconds_total")),
            },
            "Of the process that judges frames, one for each worker that is always busy; and of the control process.",
            unit="none",
            span=8,
        ),
        graph(
            "Memory",
            {"resident": series("process_resident_memory_bytes")},
            "Of the control process: documents, rules, and what it has read of maps, which it shares with the others.",
            unit="bytes",
            span=8,
        ),
        graph(
            "Workers",
            {
                "{{worker}} at work": series("worker_up"),
                "{{worker}} quiet for": f"time() - {series('worker_last_progress_timestamp_seconds')}",
            },
            "0: it hangs or has died, and its flows do not cross. Quiet for: seconds since it got on, 1 when idle.",
            unit="none",
        ),
        graph(
            "Closed to the host",
            {
                "{{interface}} closed": series("interface_isolated"),
                "{{interface}} closed again": f"increase({series('interface_closed_again_total')}[$__rate_interval])",
            },
            "1: the machine's own stack neither hears nor speaks there. Closed again: somebody puts filters in front.",
            unit="none",
        ),
        graph(
            "Pushed out of full maps",
            {"{{map}}": rate(series("map_evictions_total"))},
            "Entries a second whose place others took: strangers' in a flood. What is used again and again stays.",
            unit="none",
        ),
        graph(
            "Code",
            {
                "{{result}}": f"increase({series('approvals_total')}[$__rate_interval])",
                "on disk: {{result}}": f"increase({series('remembered_code_total')}[$__rate_interval])",
            },
            "Code that was to run: approved, or why not; and what was found of it on disk.",
            unit="none",
        ),
        tile(
            "Configuration is",
            f"time() - {series('reload_timestamp_seconds')}",
            "How old the running configuration is, since its start or its last good reload.",
            unit="s",
        ),
        tile("Runs for", f"time() - {series('process_start_time_seconds')}", "Since the box was started.", unit="s"),
        tile(
            "Good reloads",
            f"increase({series('reloads_total', result='success')}[$__range])",
            "In the time shown.",
        ).decimals(0),
        tile("Compiled in", series("program_compile_seconds"), "The running datapath, to native code.", unit="s"),
        tile("Verified in", f"sum({series('program_verify_seconds')})", "All running programs.", unit="s"),
        label(tile("Version", series("build_info"), "Of Tidegate.", legend="{{version}}")),
    ]


ROWS = {
    "At a glance": at_a_glance,
    "Traffic": traffic,
    "Rules": rules,
    "Losses": losses,
    "The box": box,
}


def variables() -> tuple[builders.DatasourceVariable, builders.QueryVariable]:
    """Which Prometheus, and which box."""
    datasource = builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    instance = (
        builders.QueryVariable("instance")
        .label("Box")
        .query("label_values(tidegate_build_info, instance)")
        .datasource(DATASOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    return datasource, instance


def dashboard() -> models.Dashboard:
    """The whole dashboard. Panels are numbered in their order, so that links to one stay."""
    datasource, instance = variables()
    reloads = (
        builders.AnnotationQuery()
        .name("Reloads")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(GREY)
        .expr(f"changes({series('reload_timestamp_seconds')}[$__rate_interval]) > 0")
    )
    result = (
        builders.Dashboard("Tidegate")
        .uid("tidegate")
        .description("What the box drops, what it passes, and how it is.")
        .tags(["tidegate"])
        .time("now-1h", "now")
        .refresh("5s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(datasource)
        .with_variable(instance)
        .annotation(reloads)
    )
    number = 0
    for title, panels in ROWS.items():
        number += 1
        result.with_row(builders.Row(title).id(number))
        for panel in panels():
            number += 1
            built = panel.build()
            built.id_val = number
            result.with_panel(panel)
    return result.build()


def text() -> str:
    """The dashboard as Grafana reads it, the same for the same code."""
    return json.dumps(dashboard(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
