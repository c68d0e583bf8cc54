"""Where the start of a box goes, in a process of its own: `python -m tests.bench.stages CONFIG` prints milliseconds."""

import time

BEGAN = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from appliance.cli.main import collect_rarely  # noqa: E402

collect_rarely()

from appliance.box.box import Box  # noqa: E402, F401  (what `tidegate run` imports)
from appliance.box.config import load_box_config  # noqa: E402
from appliance.box.filter_spec import FilterSpec  # noqa: E402
from appliance.box.generation import Generation  # noqa: E402

IMPORTED = time.perf_counter()


def main(path: Path) -> dict[str, float]:
    """Milliseconds of each stage, in the order of the start."""
    config = load_box_config(path)
    read = time.perf_counter()
    filter_spec = FilterSpec.of(config)
    judged = time.perf_counter()
    generation = Generation.load(filter_spec, config.workers)
    collection = generation.collection
    stages = {
        "imports": IMPORTED - BEGAN,
        "read rules": read - IMPORTED,
        "rules to object": judged - read,
        "verify": collection.verify_seconds,
        "IR and native code": collection.compile_seconds,
    }
    generation.close()
    return {name: seconds * 1000 for name, seconds in stages.items()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
