"""What a prover does: an object becomes proofs and machine code. A function of the request, and of this program's code.

BuildRequest ──load──> specs ──plan──> BuildKey ──prove──> facts ────┐
                                          └──────compile_──> code ──┼──> Built
                                 the operations on maps that it calls ──> code ──┘
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from appliance.box.called import Called, with_called
from appliance.box.frame_programs import in_both_directions
from appliance.box.proving.built import Built, Image, ProvedProgram
from appliance.box.proving.environment import processor, versions
from appliance.box.proving.prototypes import bytecode_digest, facts_digest, prototypes
from appliance.box.proving.request import BuildRequest, ObjectFile
from appliance.datapath.loop import PacketLoops
from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import CollectionSpec
from appliance.ir import NativeCode, compile_module
from appliance.jit.build_key import BuildKey, compile_, prove
from appliance.jit.linking import called_operations
from appliance.jit.plan import plan
from appliance.jit.program import body_name, tail_call_maps
from appliance.maps.control.compiled import operations_module
from appliance.verifier.program import VerifiedProgram
from hooks.running_kernel import RunningKernel

PROGRAMS = "programs"  # the image of the programs and of the loop


def build(request: BuildRequest, kernel: RunningKernel | None = None) -> Built:
    """Raises InputRefused: Rejected, NotCompilable, MapRefused, ObjectError. `kernel` is what objects are told that ask
    for the kernel's types or configuration."""
    spec, outward = specs_of(request, kernel)
    loops = PacketLoops(spec.programs[request.inward].hook, request.inward, outward)
    key = plan(spec, programs=(request.inward, outward), processors=request.workers, loops=loops)
    began = time.perf_counter()
    proved = prove(key)
    verified = time.perf_counter()
    images = tuple(_images(key))
    compiled = time.perf_counter()
    hooks = {program.hook.name: program.hook for _, program in key.programs}
    return Built(
        platform=spec.platform,
        programs=tuple(_proved(program) for program in proved.values()),
        images=images,
        prototypes=prototypes(PLATFORMS[key.platform], hooks.values(), dict(key.specs)),
        versions=versions(),
        processor=processor(),
        verify_seconds=verified - began,
        compile_seconds=compiled - verified,
    )


def specs_of(request: BuildRequest, kernel: RunningKernel | None = None) -> tuple[CollectionSpec, str]:
    """All that the request's objects hold, and the name of the program for frames from inside. Raises InputRefused."""
    kernel = kernel or RunningKernel()

    def load(file: ObjectFile) -> CollectionSpec:
        return load_object(file.data, file.source, kernel=kernel)

    called = (Called(each.number, each.program, load(each.object), each.where) for each in request.called)
    spec = with_called(load(request.object), called)
    return in_both_directions(spec, request.inward, request.outward)


def _images(key: BuildKey) -> Iterator[Image]:
    """The programs' code, and that of each shape of maps whose operations it calls."""
    code = compile_(key)
    yield _image(PROGRAMS, code)
    for called in called_operations(key, code):
        module = operations_module(called.spec, called.processors, called.operations)
        yield _image(str(module.name), compile_module(module))


def _image(name: str, code: NativeCode) -> Image:
    return Image(name, code.image, tuple(sorted(code.exports)), tuple(sorted(code.symbols)))


def _proved(program: VerifiedProgram) -> ProvedProgram:
    spec, calls = program.spec, program.facts.calls.values()
    return ProvedProgram(
        name=spec.name,
        hook=spec.hook.name,
        bytecode=bytecode_digest(spec),
        facts=facts_digest(program.facts),
        instructions=len(spec.instructions),
        helpers=tuple(sorted({call.helper for call in calls})),
        tail_call_maps=tuple(sorted(tail_call_maps(program))),
        body=body_name(program),
        seconds=program.seconds,
    )
