"""A rule set loaded in a process of its own: `python -m tests.bench.loading RULES`. Prints seconds and bytes as JSON.

From the first byte read to native code, as `tidegate run` does it; imports are done before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from appliance.box.filter_spec import FilterSpec
from appliance.cli.main import collect_rarely
from appliance.datapath.replay import ReplayLoop
from appliance.jit.collection import Collection
from appliance.rules import compile_rule_set, load_rule_set
from tests.bench.blocklist import memory


def main(path: Path) -> None:
    import numpy  # noqa: F401, PLC0415 (what large rule sets import later)

    collect_rarely()
    before, began = memory()["now"], time.perf_counter()
    spec = FilterSpec.of_rules(compile_rule_set(load_rule_set(path)), str(path))
    loops = ReplayLoop(spec.hook, spec.inward, spec.outward)
    with Collection.load(spec.spec, programs=(spec.inward, spec.outward), loops=loops):
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "before": before, "most": memory()["most"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
