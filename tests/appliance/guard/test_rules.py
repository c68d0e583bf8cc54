"""Programs that know nothing of a guard, under rules; each in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from appliance.errors import CannotRun
from appliance.guard import facts
from appliance.guard.callers import Caller
from appliance.guard.facts import FactsOfCallers, cgroup_of, is_below
from appliance.rules.sockets.model import Fact, FactKind
from tests.capabilities import requires
from tests.guarding import ALONE, GUARD, PYTHON, SECONDS, Ended, script

guarded = requires("root", "seccomp's listeners")
EXE = os.path.realpath(PYTHON)


def guard(tmp_path: Path, rules: str, *command: str, options: tuple[str, ...] = ()) -> Ended:
    """Run a command under these rules."""
    path = tmp_path / "guard.yaml"
    path.write_text(textwrap.dedent(rules))
    line = [*ALONE, *GUARD, "--rules", str(path), *options, "--", *command]
    done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@guarded
def test_a_low_port_is_refused_and_the_log_names_the_rule(tmp_path: Path) -> None:
    rules = """
        guard:
          rules:
            - {id: no-low-ports, match: {op: bind, port: {lt: 1024}, user: root}, action: deny}
    """
    text = """
        said = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for port in (80, 1024):
                said.append(attempt(socket.socket(family).bind, (host, port)))
        say(said)
    """
    ended = guard(tmp_path, rules, *script(text))
    assert ended.said == ["EPERM", None, "EPERM", None]
    assert "tidegate: bind 127.0.0.1:80 denied (EPERM) by `no-low-ports`: " in ended.err
    assert "tidegate: bind [::1]:80 denied (EPERM) by `no-low-ports`: " in ended.err


@guarded
@requires("curl")
def test_a_web_server_is_moved_and_prometheus_hears_of_it(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("hello\n")
    rules = f"""
        guard:
          rules:
            - {{id: web-moves, match: {{op: bind, port: 80, exe: {PYTHON}}}, action: redirect, to: "127.0.0.1:8080"}}
            - {{id: seen, match: {{op: connect, port: 8080}}, action: count}}
    """
    line = f"""
        {PYTHON} -m http.server --directory {tmp_path} 80 >/dev/null 2>&1 &
        server=$!
        for turn in $(seq 100); do
            curl -s --max-time 5 http://127.0.0.1:8080/page && break
            sleep 0.1
        done
        curl -s --max-time 5 http://127.0.0.1:80/page && echo "there as well"
        curl -s --max-time 5 http://127.0.0.1:9479/metrics | grep '^tidegate_guard_calls_total'
        kill $server
    """
    ended = guard(tmp_path, rules, "sh", "-c", line, options=("--metrics", "127.0.0.1:9479"))
    page, *counted = ended.out.splitlines()
    assert page == "hello", ended
    counts = {name: float(number) for name, number in (each.rsplit(" ", 1) for each in counted)}
    series = 'tidegate_guard_calls_total{op="%s",rule="%s",verdict="%s"}'
    assert counts[series % ("bind", "web-moves", "redirect")] == 1
    assert counts[series % ("connect", "seen", "count")] >= 1
    assert counts[series % ("bind", "caller-unknown", "deny")] == 0
    assert counts[series % ("connect", "default", "permit")] >= 3
    assert len(counts) == 6


@guarded
def test_a_connection_is_refused_with_the_errno_that_is_named(tmp_path: Path) -> None:
    rules = """
        sets: {office: {type: prefix, elements: [127.0.0.0/8]}}
        guard:
          rules:
            - {id: no-exfil, match: {ip.dst: {not: "@office"}}, action: deny, errno: ECONNREFUSED}
            - {id: unreachable, match: {op: connect, port: 9}, action: deny, errno: ENETUNREACH}
    """
    text = """
        server = socket.create_server(("127.0.0.1", 8000))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        say([
            attempt(socket.socket().connect, ("203.0.113.1", 80)),
            attempt(socket.socket(socket.AF_INET6).connect, ("::ffff:203.0.113.1", 80)),
            attempt(udp.sendto, b"x", ("203.0.113.1", 80)),
            attempt(udp.sendto, b"x", ("127.0.0.1", 80)),
            attempt(socket.socket().connect, ("127.0.0.1", 9)),
            attempt(socket.socket().connect, ("127.0.0.1", 8000)),
        ])
    """
    ended = guard(tmp_path, rules, *script(text))
    assert ended.said == ["ECONNREFUSED"] * 3 + [None, "ENETUNREACH", None]
    assert "send 203.0.113.1:80 denied (ECONNREFUSED) by `no-exfil`" in ended.err


@guarded
def test_another_file_is_another_caller(tmp_path: Path) -> None:
    """The rule names a link; a copy of the file is none."""
    (tmp_path / "copy").write_bytes(Path(EXE).read_bytes())
    (tmp_path / "copy").chmod(0o755)
    (tmp_path / "link").symlink_to(EXE)
    rules = f"guard: {{rules: [{{id: a, match: {{op: bind, exe: {tmp_path}/link}}, action: deny}}]}}\n"
    bind = """if True:
        import socket
        try:
            socket.socket().bind(("127.0.0.1", 8000))
            print("bound")
        except OSError as error:
            print(error.errno)
    """
    for who, said in ((EXE, "1\n"), (f"{tmp_path}/copy", "bound\n")):
        assert guard(tmp_path, rules, who, "-S", "-c", bind).out == said


@guarded
def test_a_monitored_rule_only_counts(tmp_path: Path) -> None:
    rules = """
        guard:
          default: deny
          rules:
            - {id: tried, match: {op: bind}, action: deny, mode: monitor}
            - {id: ok, match: {op: bind}, action: permit}
    """
    text = """
        say([attempt(socket.socket().bind, ("127.0.0.1", 8000)), attempt(socket.socket().connect, ("127.0.0.1", 9))])
    """
    ended = guard(tmp_path, rules, *script(text))
    assert ended.said == [None, "EPERM"]
    assert "by `default`" in ended.err


@guarded
@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--metrics", "here"), 2, "'here' is not an address and a port"),
        (("--metrics", "192.0.2.1:1"), 2, "metrics can't be served on 192.0.2.1:1"),
        (("--program", "bind4"), 2, "--program and --platform belong to --object"),
        (("--engine", "kernel"), 2, "--engine and --cgroup belong to --object"),
        (("--object", "x.o"), 2, "one of --object and --rules says what judges"),
    ],
)
def test_wrong_usage_starts_nothing(tmp_path: Path, options: tuple[str, ...], status: int, told: str) -> None:
    rules = "guard: {rules: [{id: a, match: {op: bind}, action: deny}]}\n"
    ended = guard(tmp_path, rules, "echo", "started", options=options)
    assert (ended.status, ended.out) == (status, "")
    assert told in ended.err


def test_facts_of_this_process() -> None:
    own = Caller(os.getpid(), os.getpid())
    exe, group = str(Path("/proc/self/exe").readlink()), cgroup_of(os.getpid())
    asked = [Fact(FactKind.EXE, "/bin/sh"), Fact(FactKind.EXE, exe), Fact(FactKind.EXE, "/nowhere")]
    assert FactsOfCallers(asked).of(own) == 0b010
    if group is not None:
        groups = [Fact(FactKind.CGROUP, path) for path in (group, "/", "/nowhere")]
        assert FactsOfCallers([*asked, *groups]).of(own) == 0b011010


def test_a_cgroup_holds_those_below_and_no_other_that_begins_like_it() -> None:
    assert [is_below(group, "/a/b") for group in ("/a/b", "/a/b/c", "/a/bc", "/a", "/")] == [True, True, *[False] * 3]
    assert is_below("/a", "/")


def test_without_cgroups_of_version_2_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "cgroup_of", lambda task: None)
    with pytest.raises(CannotRun, match="this machine has no cgroups of version 2"):
        FactsOfCallers([Fact(FactKind.CGROUP, "/a")])
