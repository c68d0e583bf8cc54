"""The JSON schema is what the models make, and it knows every key of the documents that are shipped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.rules.matchers import MATCHERS, OUTER_MATCHERS
from appliance.rules.sockets.fields import WORDS, matchers
from configs import build_schema
from tests.yaml_files import load

SCHEMA: dict[str, Any] = json.loads(build_schema.TARGET.read_text(encoding="utf-8"))


def test_the_committed_file_is_what_the_code_makes() -> None:
    assert build_schema.TARGET.read_text(encoding="utf-8") == build_schema.text(), (
        "run `python -m configs.build_schema`"
    )


def test_a_match_knows_every_matcher() -> None:
    match = SCHEMA["$defs"]["Match"]
    assert match["properties"].keys() == MATCHERS.keys()
    (outer,) = [pattern for pattern in match["patternProperties"] if pattern.startswith(r"^outer")]
    assert all(re.match(outer, name) for name in OUTER_MATCHERS)
    assert not re.match(outer, "outer.frame.len")


def test_every_reference_leads_somewhere() -> None:
    references = {part.partition('"')[0] for part in json.dumps(SCHEMA).split('"$ref": "#/$defs/')[1:]}
    assert references == SCHEMA["$defs"].keys()


def test_patterns_are_javascript() -> None:
    assert "\\z" not in build_schema.text()


@pytest.mark.parametrize("path", ["configs/tidegate.yaml", *map(str, sorted(Path("configs/rulesets").rglob("*.yaml")))])
def test_shipped_documents_have_known_keys_only(path: str) -> None:
    document = load(Path(path))
    branch = "then" if "interfaces" in document else "else"
    refused = list(_unknown(document, SCHEMA[branch], path))
    assert refused == []
    assert list(_unknown({**document, "ruels": []}, SCHEMA[branch], path)) == [f"{path}/ruels"]


def test_the_schema_of_a_guard_is_what_the_code_makes_and_knows_its_keys() -> None:
    assert build_schema.GUARD_TARGET.read_text(encoding="utf-8") == build_schema.guard_text(), (
        "run `python -m configs.build_schema`"
    )
    schema = json.loads(build_schema.guard_text())
    assert schema["$defs"]["Match"]["properties"].keys() == {*matchers(), *WORDS}


@pytest.mark.parametrize("path", ["configs/guard.yaml", "tests/cases/guard/rules.yaml"])
def test_documents_of_a_guard_fit_its_schema(path: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(path).read_text().replace("action: deny", "actoin: deny"))
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(build_schema.GUARD_TARGET)]
    for document, status in ((path, 0), (str(wrong), 1)):
        done = subprocess.run([*command, document], check=False, capture_output=True, text=True)
        assert done.returncode == status, done.stdout


def _unknown(data: Any, schema: dict[str, Any], at: str) -> Any:
    """The paths of keys that a schema forbids, through its properties, items and references."""
    schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(data, list):
        for index, each in enumerate(data):
            yield from _unknown(each, schema.get("items", {}), f"{at}/{index}")
    elif isinstance(data, dict) and "properties" in schema:
        for key, value in data.items():
            if key in schema["properties"]:
                yield from _unknown(value, schema["properties"][key], f"{at}/{key}")
            elif any(re.search(pattern, key) for pattern in schema.get("patternProperties", ())):
                continue  # bytes at an offset
            elif schema["additionalProperties"] is False:
                yield f"{at}/{key}"
