"""`tidegate replay (RULES|CONFIG|OBJ) PCAP…`: what a program would have done to frames of the past."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box.filter_files import read_filter
from appliance.box.offline_replay import ENGINES
from appliance.cli.inside import inside_option, read_networks
from appliance.cli.output import json_option, print_json, warn
from appliance.cli.replay_result import CaptureSeen, Replayed, document, print_tables
from appliance.datapath.captures import Capture, tell_directions

EXAMPLES = """Examples:

\b
  tidegate replay rules.yaml monday.pcap tuesday.pcap.gz
  tidegate replay box.yaml line.pcapng --inside 192.0.2.0/24 --inside 2001:db8::/32
  tidegate replay firewall.bpf.o line.pcap --program xdp_firewall --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="(RULES|CONFIG|OBJ)", type=click.Path(path_type=Path))
@click.argument("captures", metavar="PCAP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(sorted(ENGINES)), default="jit", show_default=True)
@click.option("--program", help="The program of an object, if it holds several.")
@inside_option
@json_option
def command(
    source: Path,
    captures: tuple[Path, ...],
    engine: str,
    program: str | None,
    inside: tuple[str, ...],
    as_json: bool,
) -> None:
    """Send every frame of a capture through a program, without a network.

    Captures are pcap or pcapng files, of Ethernet, Linux cooked, raw IP, loopback or PPP, packed by gzip or not.
    Frames are judged on the capture's own clock, and as if they came from outside, unless `--inside` says which
    networks are inside. Every capture begins with empty state.
    """
    filter_spec = read_filter(source, program)
    networks = read_networks(inside)
    results, seen = [], []
    with ENGINES[engine](filter_spec, two_ways=bool(inside)) as offline_replay:
        for path in captures:
            with Capture(path) as capture:
                if inside:
                    tell_directions(capture, networks)
                results.append(offline_replay.replay(capture))
                seen.append(CaptureSeen.of(capture))
                for remark in capture.remarks:
                    warn(remark)
        replayed = Replayed(
            tuple(results),
            tuple(seen),
            None if filter_spec.rules is None else offline_replay.rule_counts(),
            offline_replay.parse_errors(),
            two_ways=bool(inside),
        )
    if as_json:
        print_json(document(replayed))
    else:
        print_tables(replayed)
