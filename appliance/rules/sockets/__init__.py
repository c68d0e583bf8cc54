"""Rules about what processes do with sockets: `guard:` of a document, and the object that it becomes.

load_guard_rules        a file, and what it names, to GuardRules; every defect has a place and a hint
compile_guard_rules     GuardRules to CompiledGuard: the object, and what belongs beside it
walk                    the same rules in plain Python: which one decides a call
"""

from appliance.rules.sockets.compile import compile_guard_rules
from appliance.rules.sockets.layout import CompiledGuard
from appliance.rules.sockets.load import is_guard, load_guard_rules
from appliance.rules.sockets.model import GuardRules

__all__ = ["CompiledGuard", "GuardRules", "compile_guard_rules", "is_guard", "load_guard_rules"]
