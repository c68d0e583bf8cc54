"""What a rule set says beside what it does: rules that no frame reaches, and why.

find_unreached      every rule that can't decide a frame, with those that decide before it
find_forgeable      every rule that blocks whom a forger names
find_blind          every rule that asks for the number of what is opened
"""

from appliance.rules.analysis.blind import find_blind
from appliance.rules.analysis.findings import Analysis, Finding, FindingKind, find_unreached
from appliance.rules.analysis.forgery import find_forgeable

__all__ = ["Analysis", "Finding", "FindingKind", "find_blind", "find_forgeable", "find_unreached"]
