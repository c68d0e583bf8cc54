"""The programs of an object that stand between interfaces: which they are, and what stands where there is none."""

from __future__ import annotations

from dataclasses import replace

from appliance.datapath.pass_all import PASS_ALL, pass_all
from appliance.ebpf.spec import CollectionSpec
from appliance.errors import InputRefused


def in_both_directions(spec: CollectionSpec, inward: str, outward: str | None) -> tuple[CollectionSpec, str]:
    """The specs with a program for frames from inside, PASS_ALL if `outward` is None, and its name. Raises InputRefused
    if the object has no such programs, or they judge no frames."""
    known = spec.programs
    frames = [name for name, found in known.items() if found.hook.judges_frames]
    for name in filter(None, (inward, outward)):
        if name not in known:
            hint = f"it holds: {', '.join(known) or 'no program'}"
            raise InputRefused(f"no program {name!r} in the object", where=spec.source, hint=hint)
        if name not in frames:
            what = f"the program {name!r} of hook `{known[name].hook.name}` judges no frames"
            hint = f"of those that do, it holds: {', '.join(frames) or 'none'}"
            raise InputRefused(what, where=spec.source, hint=hint)
    if outward is not None:
        return spec, outward
    return replace(spec, programs={**known, PASS_ALL: pass_all(known[inward].hook)}), PASS_ALL
