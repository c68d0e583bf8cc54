"""What compiling a rule set imports: a box that starts must not wait for what only other rule sets need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from appliance.rules.classifier.plan import FEWEST

ROOT = Path(__file__).resolve().parents[3]
DEFAULT_RULES = ROOT / "configs" / "rulesets" / "default.yaml"
COMPILE = """
import json, sys
from pathlib import Path
from appliance.box.box import Box
from appliance.rules import compile_rule_set, load_rule_set
compile_rule_set(load_rule_set(Path(sys.argv[1])))
print(json.dumps(sorted({"numpy", "maxminddb", "scapy"} & set(sys.modules))))
"""


def test_the_default_rules_need_no_numpy_and_no_maxminddb() -> None:
    assert imported(DEFAULT_RULES) == []


def test_a_table_needs_numpy(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    rules = [
        {"id": f"r{port}", "match": {"ip.proto": "tcp", "tcp.dport": port}, "action": "drop"}
        for port in range(1, FEWEST + 1)
    ]
    path.write_text(json.dumps({"version": 1, "rules": rules}))
    assert imported(path) == ["numpy"]


def imported(rules: Path) -> list[str]:
    """Of the modules that take long to import, those that a fresh process has once these rules are compiled."""
    done = subprocess.run([sys.executable, "-c", COMPILE, str(rules)], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    found: list[str] = json.loads(done.stdout)
    return found
