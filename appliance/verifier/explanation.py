"""A verdict with everything that can be shown of it (`graphs`)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ebpf.platform import Platform
from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.program import VerifiedProgram
from appliance.verifier.reports.report import Rejected, Unsupported
from appliance.verifier.state.witness import Sight


@dataclass(frozen=True, slots=True)
class Explanation:
    """`verdict` is what `Verifier.verify` would have returned or raised, `sight` what was seen on the way to it: of a
    program that is rejected, up to there. `platform` has the helpers' numbers of the program's hook."""

    spec: ProgramSpec
    platform: Platform
    verdict: VerifiedProgram | Rejected
    sight: Sight

    @property
    def rejected(self) -> Rejected | None:
        return self.verdict if isinstance(self.verdict, Rejected) else None

    @property
    def complaint(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        if not isinstance(self.verdict, Rejected):
            return ""
        return f"{'unsupported' if isinstance(self.verdict, Unsupported) else 'rejected'}: {self.verdict.report.demand}"
