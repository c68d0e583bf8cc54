"""What a program demands and does; the proof that it is safe."""

from appliance.verifier.explanation import Explanation
from appliance.verifier.program import Access, CallFacts, Facts, Region, VerifiedProgram
from appliance.verifier.reports.report import Rejected, Report, Unsupported
from appliance.verifier.verifier import Verifier

__all__ = [
    "Access",
    "CallFacts",
    "Explanation",
    "Facts",
    "Region",
    "Rejected",
    "Report",
    "Unsupported",
    "VerifiedProgram",
    "Verifier",
]
