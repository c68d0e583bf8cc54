"""YAML rule sets: their schema, and the compiler that makes a portable eBPF object of one.

load_rule_set       a file, and what it names, to a RuleSet; every defect has a place and a hint
parse_rule_set      the same for the rule set inside a box's document
compile_rule_set    a RuleSet to CompiledRules: the object, and what belongs beside it
"""

from appliance.rules.code.compile import compile_rule_set
from appliance.rules.code.layout import CompiledRules
from appliance.rules.document.load import load_rule_set, parse_rule_set
from appliance.rules.errors import RuleSetRefused
from appliance.rules.model import RuleSet

__all__ = ["CompiledRules", "RuleSet", "RuleSetRefused", "compile_rule_set", "load_rule_set", "parse_rule_set"]
