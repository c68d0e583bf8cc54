"""The one door for bytecode that nobody proved: `tidegate exec`, which tests engines in a child process.

import-linter keeps every other room away from here (docs/decisions/0003-the-unverified-door.md).
"""

from __future__ import annotations

from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.program import _TOKEN, Facts, VerifiedProgram


def trust_without_proof(spec: ProgramSpec) -> VerifiedProgram:
    """A VerifiedProgram without facts, so that the JIT assumes nothing: every access is a raw pointer."""
    everything = frozenset(range(len(spec.instructions)))
    return VerifiedProgram(_TOKEN, spec, {}, Facts(reachable=everything), 0.0)
