"""An approved file in words, and as a document: what was signed, and everything that does not hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.box.approval.config import TrustConfig
from appliance.box.approval.configured import trust_of
from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.differences import of_specs
from appliance.box.approval.keys import PublicKey
from appliance.box.approval.reasons import Fault, Reason
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.tables import maps_of
from appliance.box.approval.trust import Trust, TrustedKey, told_time
from appliance.box.proving.build import specs_of
from appliance.errors import InputRefused


def trust_for(keys: Sequence[Path], revoked: Path | None, config: TrustConfig | None) -> Trust:
    """Whoever is trusted by the command line, or by a box's document."""
    if config is not None:
        return trust_of(config, None, lambda _: None)
    revocations = None if revoked is None else Revocations.load(revoked)
    return Trust([TrustedKey(PublicKey.load(path)) for path in keys], revoked=revocations)


def document_of(file: ApprovedFile, trust: Trust) -> dict[str, Any]:
    """Everything that it says. Nothing is run, and no floor is lifted."""
    statement, claim = file.approval.statement(), file.approval.statement().claim
    faults = faults_of(file, trust)
    objects = [file.request.object, *(called.object for called in file.request.called)]
    return {
        "file": file.request.object.source,
        "holds": not faults,
        "faults": [{"reason": fault.reason.label, "words": str(fault)} for fault in faults],
        "approval": file.approval.digest,
        "keys": [signature.key for signature in file.approval.signatures],
        "serial": statement.serial,
        "issued": statement.issued,
        "expires": statement.expires,
        "platform": claim.platform,
        "inward": claim.inward,
        "outward": claim.outward,
        "workers": claim.workers,
        "objects": [
            {"sha256": digest, "size": len(each.data)}
            for digest, each in zip((claim.object, *(called.object for called in claim.called)), objects, strict=True)
        ],
        "programs": [
            {
                "name": program.name,
                "hook": program.hook,
                "instructions": program.instructions,
                "helpers": list(program.helpers),
                "bytecode": program.bytecode,
                "facts": program.facts,
            }
            for program in claim.programs
        ],
        "maps": maps_of(claim),
        "images": [
            {"name": image.name, "sha256": image.code, "size": len(given.data), "exports": list(image.exports)}
            for image, given in zip(claim.images, file.built.images, strict=True)
        ],
        "versions": dict(claim.versions),
        "processor": claim.processor,
    }


def faults_of(file: ApprovedFile, trust: Trust) -> list[Fault]:
    """What does not hold here and now: also what the object itself says otherwise than the approval."""
    found = list(trust.faults(file.approval, file.built, file.request, time.time()))
    try:
        spec, _ = specs_of(file.request)
        found += of_specs(file.approval.statement().claim, spec)
    except InputRefused as error:
        found.append(Fault(Reason.OBJECT, str(error)))
    return found


def lines_of(document: dict[str, Any]) -> list[str]:
    """In words."""
    objects = ", ".join(f"{each['sha256'][:16]}… ({each['size']} bytes)" for each in document["objects"])
    outward = document["outward"] or "none: they pass"
    told = {
        "approval": f"{document['approval'][:16]}…, serial {document['serial']}",
        "signed by": ", ".join(f"key {key[:16]}…" for key in document["keys"]) or "nobody",
        "time": f"{told_time(document['issued'])} to {told_time(document['expires'])}",
        "objects": objects,
        "frames": f"from outside {document['inward']}, from inside {outward}; workers: {document['workers']}",
        **{
            f"program {program['name']}": f"{document['platform']} {program['hook']}, "
            f"{program['instructions']} instructions; calls {', '.join(program['helpers']) or 'no helper'}"
            for program in document["programs"]
        },
        "maps": ", ".join(document["maps"]) or "none",
        "machine code": ", ".join(f"{each['name']} ({each['size']} bytes)" for each in document["images"]),
        "made by": ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
        "made for": document["processor"].partition(" ")[0],
    }
    width = max(map(len, told))
    lines = [document["file"], *(f"  {name:{width}}  {text}" for name, text in told.items())]
    faults = [f"  - {fault['words']}" for fault in document["faults"]]
    return [*lines, *(["it does not hold:", *faults] if faults else ["it holds"])]
