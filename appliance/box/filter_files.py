"""Whatever file somebody hands over: an eBPF object, a box's configuration, or a rule set alone."""

from __future__ import annotations

from pathlib import Path

from appliance.box.config import ProgramConfig, load_box_config
from appliance.box.filter_spec import FilterSpec
from appliance.errors import InputRefused
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.document.document import read_document
from appliance.rules.document.load import load_rule_set
from appliance.rules.model import RuleSet

ELF_MAGIC = b"\x7fELF"


def read_filter(path: Path, program: str | None = None) -> FilterSpec:
    """Tell by the contents what the file is, and read it. `program` chooses one of an object. Raises InputRefused."""
    if _begins_with(path, ELF_MAGIC):
        return FilterSpec.of_object(ProgramConfig(path, program, None))
    if program is not None:
        raise InputRefused("only an object has several programs", where=str(path), hint="leave `--program` out")
    if is_box(path):
        return FilterSpec.of(load_box_config(path))
    return FilterSpec.of_rules(compile_rule_set(load_rule_set(path)), str(path))


def read_rules(path: Path) -> RuleSet | None:
    """The rules of a box or of a rule set; None if an object judges, in a box or by itself. Raises InputRefused."""
    if _begins_with(path, ELF_MAGIC):
        return None
    return load_box_config(path).rules if is_box(path) else load_rule_set(path)


def is_box(path: Path) -> bool:
    """Whether a YAML document describes a box (it has interfaces), and not a rule set alone."""
    data = read_document(path).data
    return isinstance(data, dict) and "interfaces" in data


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise InputRefused(f"can't be read: {error.strerror}", where=str(path)) from error
