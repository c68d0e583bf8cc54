"""Rules about sockets: what they say of a call natively, interpreted, and in a walk in plain Python."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.api.test_run import host_context
from appliance.ebpf.interpreter import Context, Interpreter
from appliance.guard.programs import GuardProgram
from appliance.guard.rules import open_rules
from appliance.helpers.model.table import python_helpers
from appliance.rules.sockets import CompiledGuard, GuardRules, compile_guard_rules, load_guard_rules
from appliance.rules.sockets.families import MAPPED
from appliance.rules.sockets.layout import CALLERS, COUNTERS, DECIDED, Program
from appliance.rules.sockets.model import FactKind, GuardAction, Op
from appliance.rules.sockets.walk import SocketCall, Walked, walk
from hooks.contracts.sock_addr import SockAddrContext, SocketVerdict
from tests.hook_programs import BothEngines

CASES = Path(__file__).parents[3] / "cases" / "guard" / "rules.yaml"
THREAD = 4711 << 32 | 4712
PYTHON, CURL = "/usr/bin/python3.11", "/usr/bin/curl"
BACKUP, SYSTEM = "/system.slice/backup.service", "/system.slice"
LOCAL, OFFICE, ELSEWHERE, LISTED = "127.0.0.1", "192.0.2.7", "203.0.113.1", "198.51.4.4"
LOCAL6, OFFICE6, MOVED6, LISTED6 = "::1", "2001:db8::7", "2001:db8:1::7", "2001:db8:ffff:4::7"

# call, address, port, protocol, user, what is true of the caller, and the rule that decides
TABLE = (
    (Op.BIND, LOCAL, 22, 6, 65534, (), "low"),
    (Op.BIND, LOCAL, 1023, 6, 999, (), "low"),
    (Op.BIND, LOCAL, 1024, 6, 65534, (), "default"),
    (Op.BIND, LOCAL, 443, 6, 65534, (), "default"),
    (Op.BIND, LOCAL, 22, 6, 0, (), "default"),
    (Op.BIND, LOCAL, 22, 6, 1000, (), "default"),
    (Op.BIND, LOCAL, 22, 6, 1999, (), "default"),
    (Op.BIND, LOCAL6, 22, 6, 2000, (), "low"),
    (Op.BIND, LOCAL, 5000, 6, 0, (), "own"),
    (Op.BIND, LOCAL6, 5000, 6, 0, (), "own"),
    (Op.BIND, "::ffff:127.9.9.9", 5000, 6, 0, (), "own"),
    (Op.BIND, OFFICE, 5000, 6, 0, (), "default"),
    (Op.BIND, "0.0.0.0", 80, 6, 0, (PYTHON,), "moved"),
    (Op.BIND, "::", 80, 6, 0, (CURL,), "moved"),
    (Op.BIND, "0.0.0.0", 80, 6, 0, (), "default"),
    (Op.CONNECT, ELSEWHERE, 8000, 6, 0, (), "both"),
    (Op.CONNECT, OFFICE6, 8000, 6, 0, (), "both"),
    (Op.CONNECT, ELSEWHERE, 8001, 17, 0, (), "port"),
    (Op.CONNECT, OFFICE6, 8001, 17, 0, (), "port"),
    (Op.CONNECT, MOVED6, 443, 6, 0, (), "six"),
    (Op.SENDMSG, MOVED6, 443, 17, 0, (), "default"),
    (Op.CONNECT, ELSEWHERE, 443, 6, 0, (CURL,), "trusted"),
    (Op.CONNECT, ELSEWHERE, 443, 6, 0, (CURL, SYSTEM, BACKUP), "away"),
    (Op.CONNECT, LISTED, 443, 6, 0, (), "listed"),
    (Op.CONNECT, "198.51.4.5", 443, 6, 0, (), "default"),
    (Op.SENDMSG, LISTED6, 443, 17, 0, (), "listed"),
    (Op.SENDMSG, "2001:db8:ffff:5::7", 443, 17, 0, (), "default"),
    (Op.CONNECT, f"::ffff:{LISTED}", 443, 6, 0, (), "listed"),
    (Op.CONNECT, OFFICE, 443, 6, 0, (SYSTEM, BACKUP), "default"),
    (Op.CONNECT, f"::ffff:{OFFICE}", 443, 6, 0, (SYSTEM, BACKUP), "default"),
    (Op.CONNECT, f"::ffff:{ELSEWHERE}", 443, 6, 0, (SYSTEM, BACKUP), "away"),
    (Op.CONNECT, ELSEWHERE, 443, 6, 0, (SYSTEM,), "default"),
    (Op.SENDMSG, OFFICE, 60001, 17, 0, (), "odd"),
    (Op.SENDMSG, OFFICE6, 65535, 136, 0, (), "odd"),
    (Op.SENDMSG, OFFICE, 60000, 17, 0, (), "default"),
    (Op.SENDMSG, OFFICE, 60001, 6, 0, (), "default"),
    (Op.SENDMSG, OFFICE, 7, 17, 0, (), "default"),
    (Op.CONNECT, OFFICE, 7, 6, 0, None, "caller-unknown"),
    (Op.BIND, "::", 7, 6, 0, None, "caller-unknown"),
)


class Guard:
    """The cases' rules, loaded: natively and interpreted."""

    def __init__(self, rules: GuardRules, compiled: CompiledGuard, engines: BothEngines) -> None:
        self.rules, self.compiled, self.engines = rules, compiled, engines
        self.native = {program.name: GuardProgram(engines.loaded, program.name) for program in compiled.programs}
        self.interpreted = {
            name: Interpreter(program.spec, engines.models, python_helpers())
            for name, program in engines.loaded.programs.items()
        }

    def run(self, name: str, **given: int | bytes) -> tuple[bool, SockAddrContext]:
        """Whether the call goes on, and what the context is by then. Both engines find the same, in every map too."""
        hook = self.native[name].hook
        context, other = host_context(hook, given), host_context(hook, given)
        assert isinstance(context, SockAddrContext)
        proceeds = self.native[name].ask(context) is SocketVerdict.PROCEED
        answer = self.interpreted[name].run(Context(hook, other)) & 0xFFFFFFFF
        assert (hook.answer(answer) is SocketVerdict.PROCEED, bytes(other)) == (proceeds, bytes(context))
        for map_name, opened in self.engines.loaded.maps.items():
            if map_name in (COUNTERS, DECIDED, CALLERS):
                assert all(self.engines.models[map_name].lookup(key) == opened.lookup(key) for key in opened), map_name
        return proceeds, context

    def ask(self, call: SocketCall) -> Walked:
        """What the program of that call does, told as a walk tells it."""
        version = call.version
        before = self.counts()
        thread = struct.pack("=Q", THREAD)
        for name in (DECIDED, CALLERS):
            self.engines.loaded.maps[name].delete(thread)
            self.engines.models[name].delete(thread)
        if call.facts is not None:
            bits = sum(1 << number for number, fact in enumerate(self.compiled.facts) if fact in call.facts)
            self.engines.update(CALLERS, thread, struct.pack("=Q", bits))
        address = call.address.to_bytes(4 if version == 4 else 16, "big")
        proceeds, context = self.run(
            Program(call.op, version).name,
            user_port=int.from_bytes(call.port.to_bytes(2, "big"), "little"),
            protocol=call.proto,
            uid_gid=100 << 32 | call.user,
            pid_tgid=THREAD,
            **{f"user_ip{version}": int.from_bytes(address, "little") if version == 4 else address},
        )
        noted = self.engines.loaded.maps[DECIDED].lookup(thread)
        after = self.counts()
        counted = tuple(id_ for id_ in self.compiled.rules if after[id_] > before[id_])
        decided = self.compiled.rules[struct.unpack("=I", noted)[0]] if noted else counted[-1]
        failed = -struct.unpack("=q", struct.pack("=Q", context.retval))[0]
        return Walked(
            decided,
            counted,
            self.action(decided),
            int.from_bytes(bytes(context.user_ip)[: len(address)], "big"),
            int.from_bytes(context.user_port.to_bytes(2, "little"), "big"),
            failed or int(not proceeds),
        )

    def action(self, id_: str) -> GuardAction:
        """What a rule of that id does."""
        known = {rule.id: rule.action for rule in self.rules.rules} | {"caller-unknown": GuardAction.DENY}
        return known.get(id_, self.rules.default)

    def counts(self) -> dict[str, int]:
        """Calls by the rule that counted them, in all programs together."""
        sums = dict.fromkeys(self.compiled.rules, 0)
        for count in self.compiled.counts:
            for index in count.indices:
                (value,) = self.engines.loaded.maps[COUNTERS].lookup_all(struct.pack("=I", index))
                sums[count.rule] += struct.unpack("=Q", value)[0]
        return sums


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    rules = load_guard_rules(CASES)
    compiled = compile_guard_rules(rules)
    with open_rules(compiled).load() as loaded:
        engines = BothEngines(loaded)
        for name, entries in compiled.contents.items():
            for key, value in entries:
                engines.update(name, key, value)
        yield Guard(rules, compiled, engines)


def call_of(
    guard: Guard, op: Op, address: str, port: int, proto: int, user: int, true: tuple[str, ...] | None
) -> SocketCall:
    number = ip_address(address)
    facts = None if true is None else frozenset(fact for fact in guard.compiled.facts if fact.path in true)
    return SocketCall(op, number.version, int(number), port, proto, user, facts)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case[-1]}-{case[0].value}-{case[1]}-{case[2]}")
def test_the_rule_that_decides(guard: Guard, case: tuple[Op, str, int, int, int, tuple[str, ...] | None, str]) -> None:
    *given, wanted = case
    call = call_of(guard, *given)  # type: ignore[arg-type]
    walked = walk(guard.rules, call)
    assert walked.decided == wanted
    assert guard.ask(call) == walked


def test_every_rule_and_every_end_is_in_the_table(guard: Guard) -> None:
    walked = [walk(guard.rules, call_of(guard, *case[:-1])) for case in TABLE]  # type: ignore[arg-type]
    assert {id_ for each in walked for id_ in each.counted} == set(guard.compiled.rules)


def test_calls_by_chance(guard: Guard) -> None:
    """Of values that rules name, and of those beside them."""
    chance = random.Random(12)
    addresses = [ip_address(case[1]) for case in TABLE]
    for _ in range(400):
        address = chance.choice(addresses)
        number, version = int(address), address.version
        if version == 4 and chance.random() < 0.3:
            number, version = number | MAPPED, 6
        number ^= chance.choice((0, 0, 1, 1 << chance.randrange(32)))
        port = chance.choice([case[2] for case in TABLE]) + chance.choice((-1, 0, 0, 1))
        facts = frozenset(fact for fact in guard.compiled.facts if chance.random() < 0.3)
        call = SocketCall(
            op=chance.choice(tuple(Op)),
            version=version,
            address=number,
            port=port & 0xFFFF,
            proto=chance.choice((6, 17, 132, 136)),
            user=chance.choice((0, 999, 1000, 1999, 2000, 65534, (1 << 32) - 1)),
            facts=facts if chance.random() < 0.9 else None,
        )
        assert guard.ask(call) == walk(guard.rules, call), call


def test_what_is_compiled_is_the_same_every_time(guard: Guard) -> None:
    assert compile_guard_rules(guard.rules).object == guard.compiled.object


def test_without_facts_nothing_is_asked_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "guard.yaml"
    path.write_text("guard: {rules: [{id: a, match: {op: bind, port: 1}, action: deny}]}\n")
    compiled = compile_guard_rules(load_guard_rules(path))
    with open_rules(compiled).load() as loaded:
        assert set(loaded.maps) == {COUNTERS, DECIDED}
        assert set(loaded.programs) == {"bind4", "bind6"}
    assert not compiled.facts
    assert {count.rule for count in compiled.counts} == {"a", "default"}


def test_a_guard_that_denies_by_default_judges_every_call(tmp_path: Path) -> None:
    path = tmp_path / "guard.yaml"
    path.write_text("guard: {default: deny, rules: [{id: a, match: {op: bind}, action: permit}]}\n")
    rules = load_guard_rules(path)
    assert [program.name for program in compile_guard_rules(rules).programs] == [
        f"{op.value}{version}" for op in Op for version in (4, 6)
    ]
    assert walk(rules, SocketCall(Op.CONNECT, 4, 1, 1)).errno == 1
    assert [fact.kind for fact in load_guard_rules(CASES).facts].count(FactKind.EXE) == 2
