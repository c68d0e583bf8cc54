"""What a rule set says beside what it does: rules that no frame reaches, and why.

find_unreached      every rule that can't decide a frame, with those that decide before it
"""

from appliance.rules.analysis.findings import Analysis, Finding, FindingKind, find_unreached

__all__ = ["Analysis", "Finding", "FindingKind", "find_unreached"]
