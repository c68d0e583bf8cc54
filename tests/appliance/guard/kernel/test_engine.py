"""The kernel's engine, on a real control group: who is in it, what is counted and told, and what is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.capabilities import requires
from tests.cgroup2 import hierarchy
from tests.guarding import ALONE, GUARD, compiled, engine_options, guard, guarded_map, script
from tests.programs.kernel import bpftool

pytestmark = requires("root", "bpf", "cgroup2", "clang")
NAME = "binds_and_connects"
BIND_ALL = """
    for port in (8999, 9000, 9000, 9001):
        with socket.socket() as s:
            attempt(s.bind, ("127.0.0.1", port))
    say(None)
"""


def group_of(process: int) -> Path:
    """The directory of the group that a process is in."""
    found = hierarchy()
    assert found is not None
    own = re.search("^0::/(.*)$", Path(f"/proc/{process}/cgroup").read_text(), re.M)
    assert own is not None
    return found / own[1]


def gone(group: Path) -> bool:
    """Whether a group goes away within 20 seconds."""
    for _ in range(2000):
        if not group.exists():
            return True
        time.sleep(0.01)
    return False


def test_a_denial_is_told_with_who_and_what_and_by_which_program() -> None:
    """Who has ended before it is told goes by his short name."""
    text = "s = socket.socket(); attempt(s.bind, ('127.0.0.1', 9000)); say(os.getpid()); time.sleep(0.5)"
    ended = guard(NAME, *script(text), engine="kernel")
    told = rf"tidegate: bind 127.0.0.1:9000 denied \(EPERM\) by `bind4`: \S*python3\S* \({ended.said}\)\n"
    assert re.fullmatch(told, ended.err), ended


def test_addresses_of_ipv6_and_of_what_is_bound_are_told() -> None:
    text = """
        six, four = socket.socket(socket.AF_INET6), socket.socket()
        say([attempt(six.bind, ("::1", 9000)), attempt(four.bind, ("127.0.0.2", 9000))])
    """
    ended = guard("sockets", *script(text), engine="kernel")
    assert ended.said == ["EPERM", "EPERM"]
    assert "bind [::1]:9000 denied (EPERM) by `post_bind6`" in ended.err
    assert "bind 127.0.0.2:9000 denied (EPERM) by `post_bind4`" in ended.err


@pytest.mark.parametrize("engine", ["here", "kernel"])
def test_each_outcome_is_counted(engine: str) -> None:
    _, counts, _ = guarded_map(NAME, "", BIND_ALL, engine)
    assert counts == {"bind permitted": 1, "bind denied": 2, "bind redirected": 1}


@pytest.mark.parametrize("engine", ["here", "kernel"])
def test_maps_are_there_while_it_runs_and_behind_it(engine: str) -> None:
    _, counts, entries = guarded_map("remembers", "ports", BIND_ALL, engine)
    assert (sorted(entries), counts["bind denied"]) == ([[8999, 1], [9000, 2], [9001, 1]], 2)


@pytest.mark.parametrize("engine", ["here", "kernel"])
def test_several_programs_of_a_hook_judge_one_call(engine: str) -> None:
    """It is counted once, and as denied by the one that denied it."""
    text = """
        said = []
        for port in (8999, 9000, 9001, 9003):
            with socket.socket() as s:
                said.append(attempt(s.bind, ("127.0.0.1", port)) or s.getsockname()[1])
        say(said)
    """
    said, counts, _ = guarded_map("two_binds", "", text, engine)
    assert said == [8999, "EPERM", "EPERM", 9004]
    assert counts == {"bind permitted": 1, "bind denied": 2, "bind redirected": 1}
    told = guard("two_binds", *script(text), engine=engine).err
    assert [line.split("`")[1] for line in told.splitlines()] == ["first", "second"]


def test_values_of_processors_are_added_up() -> None:
    _, _, entries = guarded_map("remembers", "calls", BIND_ALL, "kernel")
    assert [(index, sum(values)) for index, values in entries] == [(0, 0), (1, 4)]


def test_what_only_a_kernel_sees() -> None:
    text = """
        server = socket.create_server(("127.0.0.1", 8999))
        for _ in range(3):
            socket.create_connection(("127.0.0.1", 8999)).close()
        say(None)
    """
    assert guarded_map("established", "established", text, "kernel")[1:] == ({}, [[0, 3]])


def test_forks_and_executions_stay_inside_and_others_are_outside() -> None:
    text = """
        child = os.fork()
        if child == 0:
            os.setsid()
            os.execv("/bin/sh", ["sh", "-c", "cat /proc/self/cgroup | grep ^0::"])
        os.waitpid(child, 0)
    """
    ended = guard(NAME, *script(text), engine="kernel")
    assert re.search(r"^0::\S*/tidegate-guard-\d+-0$", ended.out, re.M), ended
    assert "tidegate-guard" not in Path("/proc/self/cgroup").read_text()


def test_nothing_is_left_when_it_ends() -> None:
    ended = guard(NAME, "grep", "^0::", "/proc/self/cgroup", engine="kernel")
    group, found = Path(ended.out.strip()).name, hierarchy()
    assert group.startswith("tidegate-guard-")
    assert found is not None
    assert not (found / group).exists()


def test_the_group_is_found_where_it_is_mounted(tmp_path: Path) -> None:
    """In a mount namespace with one hierarchy, and with none."""
    line = " ".join((*GUARD[:1], "-c '" + GUARD[2] + "' guard --engine kernel --quiet --object", str(compiled(NAME))))
    leave = "umount --all --types cgroup2; "
    mounted = f"{leave} mount -t cgroup2 none {tmp_path} && exec {line} -- grep ^0:: /proc/self/cgroup"
    found, missing = (
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", text], capture_output=True, text=True, timeout=60, check=False
        )
        for text in (mounted, f"{leave} exec {line} -- true")
    )
    assert "/tidegate-guard-" in found.stdout, found
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no control groups of version 2 are mounted here" in missing.stderr


@requires("bpftool")
@pytest.mark.parametrize(("on_failure", "lives"), [("closed", False), ("open", True)])
def test_killed_it_leaves_nothing_attached(on_failure: str, lives: bool) -> None:
    """Closed: what it guarded ends before the programs are detached. Open: it goes on, unjudged."""
    text = """
        print(os.getpid(), flush=True)
        s = socket.socket()
        while attempt(s.bind, ("127.0.0.1", 9000)) == "EPERM":
            time.sleep(0.01)
        print("bound", flush=True)
    """
    options = (*engine_options("kernel"), "--on-failure", on_failure, "--quiet")
    line = [*ALONE, *GUARD, "--object", str(compiled(NAME)), *options, "--", *script(text)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as guarding:
        assert guarding.stdout is not None
        process = int(guarding.stdout.readline())
        group = group_of(process)
        assert "bind4" in bpftool("cgroup", "show", str(group))
        guarding.send_signal(signal.SIGKILL)
        assert guarding.wait(20) == -signal.SIGKILL
        assert guarding.stdout.read() == ("bound\n" if lives else "")
    if lives:
        for _ in range(2000):
            if "populated 0" in (group / "cgroup.events").read_text():
                break
            time.sleep(0.01)
        assert bpftool("cgroup", "show", str(group)).strip() == ""
        group.rmdir()
    assert gone(group)


def test_where_there_is_no_group_the_kernel_is_not_asked(tmp_path: Path) -> None:
    ended = guard(NAME, "true", options=("--engine", "kernel", "--cgroup", str(tmp_path)))
    assert (ended.status, ended.err) == (2, f"tidegate: {tmp_path}: this is no control group of version 2\n")


def test_by_itself_it_says_why_it_is_asked_here(tmp_path: Path) -> None:
    text = "say(attempt(socket.socket().bind, ('', 9000)))"
    ended = guard(NAME, *script(text), options=("--engine", "auto", "--cgroup", str(tmp_path), "--quiet"))
    told = f"tidegate: not in the kernel, but here: {tmp_path}: this is no control group of version 2\n"
    assert (ended.said, ended.err) == ("EPERM", told)


def test_by_itself_it_is_the_kernel_that_is_asked() -> None:
    ended = guard(NAME, "grep", "^0::", "/proc/self/cgroup", options=("--quiet",), engine="auto")
    assert "/tidegate-guard-" in ended.out
    assert ended.err == ""


def test_programs_of_windows_are_not_for_the_kernel() -> None:
    ended = guard("windows_bind", "true", engine="kernel")
    assert ended.status == 1
    assert "it is made for Windows, and Linux has other contexts" in ended.err


def test_without_privilege_it_says_what_it_takes() -> None:
    line = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *GUARD, "--object", str(compiled(NAME))]
    done = subprocess.run(
        [*line, *engine_options("kernel"), "--", "true"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done
    assert "it takes root, or CAP_BPF and CAP_NET_ADMIN" in done.stderr
