"""Rule sets with frames and what must become of them: `tests/cases/rules/*.yaml`, for every engine to run.

A file is a list of cases:

    - case: a sentence that names it
      files: {lists/x.txt: "…"}          other files that the rule set names (optional); of `x.c` x.bc is made
      rules: |                           the rule set
        rules: […]
      frames:
        - frame: Ether()/IP(src="192.0.2.1")/TCP(dport=80)     scapy, or
          hex: 02 00 …                                         bytes
          way: out                       the direction, if not in
          wait: 0.1                      seconds that pass before it
          times: 10                      how often it is sent, one right behind the other
          verdict: drop                  or {pass: 4, drop: 6} for a frame sent more than once
          counts: [id, policy]           the counters that grow, each by 1, or {id: 6, policy: 4}; all others must not
          error: ipv4_version            the parse error that is counted (by `times`)
          out: Ether()/IP()/…            what the frame is behind the program, the last time, as scapy or as hex; if
                                         absent, what it was
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scapy.all

from appliance.rules import RuleSet, load_rule_set
from tests.stages import build_stage
from tests.yaml_files import load

FOLDER = Path(__file__).parent / "cases" / "rules"
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


@dataclass(frozen=True)
class Step:
    """One frame of a case. `verdicts` and `counts` say how often each."""

    frame: bytes
    way: str
    wait: float
    times: int
    verdicts: dict[str, int]
    counts: dict[str, int]
    error: str | None
    out: bytes


@dataclass(frozen=True)
class RuleCase:
    """One case: a rule set's text, the files beside it, and its frames."""

    name: str
    rules: str
    files: dict[str, str]
    steps: tuple[Step, ...]

    def rule_set(self, folder: Path) -> RuleSet:
        """The rule set, by way of files in that folder."""
        for name, text in {**self.files, "rules.yaml": self.rules}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if path.suffix == ".c":
                build_stage(path)
        return load_rule_set(folder / "rules.yaml")


def load_cases(folder: Path = FOLDER) -> Iterator[RuleCase]:
    """Every case of every file."""
    for path in sorted(folder.glob("*.yaml")):
        for entry in load(path):
            steps = tuple(_step(frame) for frame in entry["frames"])
            yield RuleCase(f"{path.stem}: {entry['case']}", entry["rules"], entry.get("files", {}), steps)


def _step(entry: dict[str, Any]) -> Step:
    known = {"frame", "hex", "way", "wait", "times", "verdict", "counts", "error", "out"}
    assert set(entry) <= known, set(entry) - known
    frame = bytes.fromhex(entry["hex"]) if "hex" in entry else build(entry["frame"])
    out = entry.get("out")
    times = entry.get("times", 1)
    verdict = entry["verdict"]
    counts = entry.get("counts", [])
    counts = [counts] if isinstance(counts, str) else counts
    return Step(
        frame=frame,
        way=entry.get("way", "in"),
        wait=entry.get("wait", 0.0),
        times=times,
        verdicts=verdict if isinstance(verdict, dict) else {verdict: times},
        counts=counts if isinstance(counts, dict) else dict.fromkeys(counts, times),
        error=entry.get("error"),
        out=frame if out is None else build(out) if "(" in out else bytes.fromhex(out),
    )


def build(expression: str) -> bytes:
    """The bytes of a scapy expression. Ether, IP and IPv6 have fixed addresses unless they are given some.

    A packet can be cut with `[:30]` after `bytes(…)`.
    """
    names = {
        **vars(scapy.all),
        "Ether": lambda **given: scapy.all.Ether(**{**MACS, **given}),
        "IP": lambda **given: scapy.all.IP(**{"src": "198.51.100.1", "dst": "203.0.113.1", **given}),
        "IPv6": lambda **given: scapy.all.IPv6(**{"src": "2001:db8:1::1", "dst": "2001:db8:2::1", **given}),
    }
    return bytes(eval(expression, names))
