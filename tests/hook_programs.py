"""The C programs of tests/cases/hooks: compiled, opened, and run by both engines at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.api import Loaded, TestRun, open_object
from appliance.api.test_run import host_context
from appliance.ebpf.interpreter import Context, Interpreter
from appliance.helpers.model.table import python_helpers
from appliance.maps.model.models import model
from tests.appliance.ebpf.compiling import compile_file

FOLDER = Path(__file__).parent / "cases" / "hooks"


class BothEngines:
    """An object loaded, and the same one interpreted over maps of its own."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        specs = {name: program.spec for name, program in loaded.programs.items()}
        self.models = {name: model(opened.spec) for name, opened in loaded.maps.items()}
        self._interpreters = {name: Interpreter(spec, self.models, python_helpers()) for name, spec in specs.items()}

    def update(self, name: str, key: bytes, value: bytes) -> None:
        self.loaded.maps[name].update(key, value)
        assert self.models[name].update(key, value, 0) == 0

    def run(self, name: str, data: bytes = b"", **context: int | bytes) -> TestRun:
        """What comes of it natively. The interpreter finds the same: the answer, the context, every map."""
        program = self.loaded.programs[name]
        run = program.test_run(data, context=context)
        hook = program.spec.hook
        host = host_context(hook, context)
        answer = self._interpreters[name].run(Context(hook, host, app_id=data))
        assert answer & 0xFFFFFFFF == run.retval
        for field, value in run.context_out.items():
            place = next((f for f in hook.context.fields if f.name == field), None)
            if place is not None:
                seen = bytes(host)[place.host_offset : place.host_offset + place.size]
                assert seen == (value if isinstance(value, bytes) else value.to_bytes(place.size, "little")), field
            else:
                assert bytes(getattr(host, field))[: len(value)] == value
        for map_name, opened in self.loaded.maps.items():
            for key in opened:
                assert self.models[map_name].lookup(key) == opened.lookup(key), map_name
        return run


@contextmanager
def both_engines(name: str) -> Iterator[BothEngines]:
    """The object of that name."""
    with open_object(compile_file(FOLDER / f"{name}.bpf.c")).load() as loaded:
        yield BothEngines(loaded)
