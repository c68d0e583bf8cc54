"""From a request to a build that may run: remembered, or proved, signed, checked and remembered from then on.

    request ──> Store ── approved as it lies there ──────────────────────────────> Approved
                  └─ none ──> build (a prover) ──> keeper signs ──> Trust.check ──> Approved, kept in the store
    OBJ.approved ─────────────────────────────────────────────────> Trust.check ──> Approved

Every road ends in `Trust.check`; there is none around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from appliance.box.approval.config import Mode
from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.differences import of_specs
from appliance.box.approval.envelope import Approval
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.approval.keeping.protocol import KeeperGone
from appliance.box.approval.statements.claim import Claim
from appliance.box.approval.store import Store
from appliance.box.approval.trust import Approved, Trust
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from appliance.ebpf.spec import CollectionSpec
from appliance.errors import InputRefused


class ProverLied(InputRefused):
    """A build is not of the object that it was asked for: another program's instructions, or another map."""


class Approvals:
    """One thread at a time. `build` is `Prover.build`, or what has its signature. Without a keeper nothing that is
    built here is signed: then only files run that somebody else has approved. `clock` is in seconds since 1970."""

    def __init__(
        self,
        trust: Trust,
        build: Callable[[BuildRequest], Built],
        *,
        keeper: KeeperClient | None = None,
        store: Store | None = None,
        log: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trust = trust
        self._build = build
        self._keeper = keeper
        self._store = store
        self._log = log
        self._clock = clock

    def of_request(self, request: BuildRequest, spec: CollectionSpec | None = None) -> Approved:
        """What may run as the answer to that request. With `spec`, what the caller has read in the request's objects
        himself (and makes the maps by), nothing is signed that says otherwise of their programs and maps.

        Raises what `build` raises, ProverLied, KeeperRefused and KeeperGone, and NotApproved; in the modes that let run
        what nobody approved, `build`'s errors alone."""
        if self._store is not None and self.trust.mode is not Mode.OFF:
            remembered = self._store.recall(request, self.trust, self._clock())
            if remembered is not None:
                return remembered
        built = self._build(request)
        approval = self._sign(request, built, spec)
        approved = self.trust.check(approval, built, request, self._clock())
        if self._store is not None and approval is not None and approved.fault is None:
            self._store.keep(ApprovedFile(approval, request, built))
        return approved

    def of_file(
        self, file: ApprovedFile, workers: int, inward: str | None = None, outward: str | None = None
    ) -> Approved:
        """What may run as the file has it, with as many workers, and with programs of those names where they are given.
        Raises NotApproved."""
        asked = file.request
        request = replace(asked, workers=workers, inward=inward or asked.inward, outward=outward or asked.outward)
        return self.trust.check(file.approval, file.built, request, self._clock())

    def _sign(self, request: BuildRequest, built: Built, spec: CollectionSpec | None) -> Approval | None:
        if self._keeper is None or self.trust.mode is Mode.OFF:
            return None
        try:
            if spec is not None:
                _refuse_other_specs(request, built, spec)
            return self._keeper.sign(request, built)
        except (InputRefused, KeeperGone) as error:
            if self.trust.mode is Mode.ENFORCE:
                raise
            self._log(str(error))
            return None


def _refuse_other_specs(request: BuildRequest, built: Built, spec: CollectionSpec) -> None:
    fault = next(of_specs(Claim.of(request, built), spec), None)
    if fault is not None:
        raise ProverLied(f"what was built is not what the object holds: {fault}", where=request.object.source)
