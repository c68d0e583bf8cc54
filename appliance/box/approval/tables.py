"""What this machine holds against a claim: its own tables, versions and processor. Nobody else is asked.

    claim ──faults(claim, Tables.here())──> what in it does not hold here, whoever says it

The keeper asks this before it signs, and whoever checks an approval asks it again: years may lie between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from appliance.box.approval.reasons import Fault, Reason
from appliance.box.approval.statements.claim import Claim
from appliance.box.proving.environment import processor, runs_on, versions
from appliance.box.proving.prototypes import HELPERS, HOOK, MAP, helpers_digest, hook_digest
from appliance.ebpf.platform import PLATFORMS, Platform

MEMORY = "memory."


@dataclass(frozen=True, slots=True)
class PlatformTables:
    """One platform: the digests of its hooks by name and of its helpers, and the names of these."""

    hooks: Mapping[str, str]
    helpers: str
    helper_names: frozenset[str]

    @classmethod
    def of(cls, platform: Platform) -> PlatformTables:
        numbers = (platform.helpers, *platform.family_helpers.values())
        return cls(
            {hook.name: hook_digest(hook) for hook in platform.hooks},
            helpers_digest(platform),
            frozenset(name for table in numbers for name in table.values()),
        )


@dataclass(frozen=True, slots=True)
class Tables:
    """What a claim is held against. Any thread."""

    platforms: Mapping[str, PlatformTables]
    versions: Mapping[str, str]
    processor: str

    @classmethod
    @cache
    def here(cls) -> Tables:
        """Of this machine, and this version of this program."""
        platforms = {name: PlatformTables.of(platform) for name, platform in PLATFORMS.items()}
        return cls(platforms, versions(), processor())


def faults(claim: Claim, tables: Tables) -> Iterator[Fault]:
    """Everything that the claim says otherwise than it is here, or that no claim may say."""
    platform = tables.platforms.get(claim.platform)
    if platform is None:
        yield Fault(Reason.PLATFORM, f"{claim.platform} is unknown here")
    else:
        yield from _proof_faults(claim, platform)
    yield from _program_faults(claim)
    yield from _symbol_faults(claim)
    for name in tables.versions.keys() | claim.versions.keys():
        theirs, ours = claim.versions.get(name, "none"), tables.versions.get(name, "none")
        if theirs != ours:
            yield Fault(Reason.VERSION, f"{name} {theirs}, here it is {ours}")
    if not runs_on(claim.processor, tables.processor):
        yield Fault(Reason.PROCESSOR, f"{_model(claim.processor)}, here it is {_model(tables.processor)}")


def maps_of(claim: Claim) -> dict[str, str]:
    """The digests of its maps' declarations, by the maps' names."""
    return {name.removeprefix(MAP): digest for name, digest in claim.prototypes.items() if name.startswith(MAP)}


def _proof_faults(claim: Claim, platform: PlatformTables) -> Iterator[Fault]:
    """The prototypes that the proofs relied upon, and the helpers that they found called."""
    if claim.prototypes.get(HELPERS) != platform.helpers:
        yield Fault(Reason.HELPERS, f"the table of {claim.platform} is another one here")
    for name in {program.hook: None for program in claim.programs}:
        if name not in platform.hooks:
            yield Fault(Reason.HOOK, f"{claim.platform} has none called {name}")
        elif claim.prototypes.get(HOOK + name) != platform.hooks[name]:
            yield Fault(Reason.HOOK, f"the contract of {name} is another one here")
    for name in claim.prototypes:
        if name != HELPERS and not name.startswith((HOOK, MAP)):
            yield Fault(Reason.HELPERS, f"nothing is proved against {name!r}")
    for program in claim.programs:
        for name in program.helpers:
            if name not in platform.helper_names:
                yield Fault(Reason.HELPERS, f"program {program.name} calls {name}, which {claim.platform} has not")


def _program_faults(claim: Claim) -> Iterator[Fault]:
    """Whether there is what the request asked for, each once."""
    names = [program.name for program in claim.programs]
    for name in {name: None for name in names if names.count(name) > 1}:
        yield Fault(Reason.REQUEST, f"there are two programs {name}")
    for wanted in (claim.inward, claim.outward, *(each.program for each in claim.called)):
        if wanted is not None and wanted not in names:
            yield Fault(Reason.REQUEST, f"program {wanted} was not proved")
    maps = maps_of(claim)
    for program in claim.programs:
        for name in program.tail_call_maps:
            if name not in maps:
                yield Fault(Reason.MAP, f"program {program.name} calls by {name}, which is not there")


def _symbol_faults(claim: Claim) -> Iterator[Fault]:
    """Whether images name the memory of maps, and functions of each other, and nothing else."""
    exports = [name for image in claim.images for name in image.exports]
    known = {*exports, *(MEMORY + name for name in maps_of(claim))}
    if not claim.images:
        yield Fault(Reason.CODE, "there is none")
    for name in {name: None for name in exports if exports.count(name) > 1}:
        yield Fault(Reason.SYMBOLS, f"there are two functions {name}")
    for image in claim.images:
        for name in image.symbols:
            if name not in known:
                yield Fault(Reason.SYMBOLS, f"{image.name} names {name}, which nobody here has")


def _model(processor: str) -> str:
    return processor.partition(" ")[0]
