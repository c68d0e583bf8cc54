"""What the documents say can be checked is checked: metrics, links, decisions, examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.datapath.statistics import TRANSMIT_ERRORS, InterfaceStatistics
from appliance.metrics.collector import FAMILIES
from appliance.rules import compile_rule_set, load_rule_set
from appliance.rules.code.parser.cursor import PARSE_ERRORS
from hooks.contracts.contract import Verdict

DOCUMENTS = [
    *map(Path, ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(Path("docs").rglob("*.md")),
]
METRICS = Path("docs/metrics.md").read_text(encoding="utf-8")
SUFFIX = {"counter": "_total", "gauge": ""}
LINK = re.compile(r"\[[^\]]+\]\(([^)#:]*)(?:#([^)]*))?\)")


def anchors(text: str) -> set[str]:
    """The names that headings have as link targets."""
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_the_table_of_metrics_is_the_table_of_families() -> None:
    rows = re.findall(r"^\| `(tidegate_\w+)` \| ([^|]*)\|", METRICS, re.MULTILINE)
    written = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    exported = {
        f"tidegate_{family.name}{SUFFIX[family.kind('name', 'help', labels=family.labels).type]}": family.labels
        for family in FAMILIES
    }
    assert written == exported


def test_every_reason_and_verdict_is_explained() -> None:
    reasons = set(re.findall(r"^\| `(\w+)` \| [^`|]+ \|$", METRICS, re.MULTILINE))
    assert reasons == {*PARSE_ERRORS, *TRANSMIT_ERRORS, *InterfaceStatistics().capture_dropped}
    for verdict in Verdict:
        assert f"`{verdict.value}`" in METRICS


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{path}#{anchor}"


def test_the_index_names_every_decision() -> None:
    index = Path("docs/decisions/README.md").read_text(encoding="utf-8")
    for path in Path("docs/decisions").glob("0*.md"):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"- [{title}]({path.name})\n" in index


def test_the_example_of_the_readme_compiles(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "guard.yaml"
    path.write_text(example)
    assert [rule.id for rule in compile_rule_set(load_rule_set(path)).rules] == ["xmas", "memcached", "syn-rate"]


def test_the_examples_of_the_python_api_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", Path("docs/python-api.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 13
    names: dict[str, object] = {}
    for example in examples:
        exec(example, names)
    assert callable(names["watch"])


def test_make_knows_every_command_of_the_readme() -> None:
    targets = set(re.findall(r"^([\w-]+):", Path("Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"`make ([\w-]+)`", Path("README.md").read_text(encoding="utf-8")))
    assert told <= targets
