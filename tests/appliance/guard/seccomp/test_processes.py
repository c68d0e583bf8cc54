"""Processes and threads of all kinds under the guard, and ways that lead past it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.capabilities import requires
from tests.guarding import ALONE, FULL, GUARD, both_engines, compiled, guard, guard_script, script

pytestmark = requires("root", "seccomp's listeners", "clang")
NAME = "binds_and_connects"


@pytest.mark.parametrize(("ends", "status"), [("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)])
@both_engines
def test_the_exit_status_is_the_commands(ends: str, status: int, engine: str) -> None:
    assert guard(NAME, *script(ends), engine=engine).status == status


@both_engines
def test_a_command_that_is_not_there(engine: str) -> None:
    ended = guard(NAME, "no-such-command", engine=engine)
    assert (ended.status, ended.err) == (127, "tidegate: no-such-command: command not found\n")


@both_engines
def test_a_command_that_can_not_be_executed(tmp_path: Path, engine: str) -> None:
    ended = guard(NAME, str(tmp_path), engine=engine)
    assert (ended.status, ended.err) == (126, f"tidegate: {tmp_path}: Permission denied\n")


@both_engines
def test_options_of_the_command_are_its_own(engine: str) -> None:
    assert guard(NAME, "echo", "--program", "-x", engine=engine).out == "--program -x\n"


def test_threads_each_with_descriptors_of_their_own_or_not() -> None:
    """A thread that unshared its descriptors (CLONE_FILES) has another socket under the same number."""
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        shared = socket.socket()
        number, said = shared.fileno(), {}
        def own():
            assert libc.unshare(0x400) == 0
            mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            os.dup2(mine.fileno(), number)
            address = struct.pack("=H2s12x", 2, (8999).to_bytes(2, "big"))
            said["own"] = libc.bind(number, address, 16)
            said["own port"] = mine.getsockname()[1]
            os.close(number)
        thread = threading.Thread(target=own)
        thread.start()
        thread.join()
        said["before"] = shared.getsockname()[1]
        shared.bind(("127.0.0.1", 8998))
        said["after"] = shared.getsockname()[1]
        say(said)
    """
    assert guard_script(NAME, text) == {"own": 0, "own port": 8999, "before": 0, "after": 8998}


@both_engines
def test_hundreds_of_processes_at_once(engine: str) -> None:
    text = """
        children = []
        for index in range(300):
            child = os.fork()
            if child == 0:
                wrong = 0
                for turn in range(10):
                    with socket.socket() as s:
                        wrong += attempt(s.bind, ("127.0.0.1", 9000)) != "EPERM"
                    with socket.socket() as s:
                        wrong += attempt(s.bind, ("127.0.0.1", 0)) is not None
                os._exit(wrong)
            children.append(child)
        say(sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
    """
    assert guard_script(NAME, text, options=("--quiet",), engine=engine) == 0


@both_engines
def test_who_forks_and_executes_all_the_time_is_judged_each_time(engine: str) -> None:
    text = """
        inner = '''import socket
        try: socket.socket().bind(("", 9000))
        except PermissionError: raise SystemExit(3)'''
        inner = "".join(line.strip() + "\\n" for line in inner.splitlines())
        said = set()
        for _ in range(40):
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                if grandchild == 0:
                    os.execv(sys.executable, [sys.executable, "-S", "-c", inner])
                os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
            said.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        say(sorted(said))
    """
    assert guard_script(NAME, text, options=("--quiet",), engine=engine) == [3]


@both_engines
def test_it_serves_until_the_last_descendant_has_ended(engine: str) -> None:
    """The command ends at once; what it left behind is judged still."""
    text = """
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1)
                s = socket.socket()
                say([attempt(s.bind, ("127.0.0.1", 9000)), attempt(s.bind, ("127.0.0.1", 8999))])
            os._exit(0)
        os._exit(5)
    """
    ended = guard(NAME, *script(text), engine=engine)
    assert (ended.status, ended.said) == (5, ["EPERM", None])


def test_a_signal_for_the_guard_is_the_commands() -> None:
    text = """
        signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
        print("ready", flush=True)
        time.sleep(30)
    """
    line = [*GUARD, "--object", str(compiled(NAME)), "--", *script(text)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as guarding:
        assert guarding.stdout is not None
        assert guarding.stdout.readline() == "ready\n"
        guarding.send_signal(signal.SIGTERM)
        assert guarding.wait(30) == 9


def test_a_signal_in_a_held_call_binds_once() -> None:
    """Signals rain while addresses are bound: no call is made twice (that would be EINVAL)."""
    text = """
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        said = set()
        for _ in range(1500):
            with socket.socket() as s:
                said.add(attempt(s.bind, ("127.0.0.1", 0)))
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(list(said))
    """
    assert guard_script(NAME, text) == [None]


def test_io_uring_is_not_to_be_had() -> None:
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        said = []
        for number in (425, 426, 427):
            libc.syscall(number, 8, ctypes.create_string_buffer(256))
            said.append(errno.errorcode[ctypes.get_errno()])
        say(said)
    """
    assert guard_script(NAME, text) == ["ENOSYS"] * 3


I386 = """
#include <stdio.h>
int main(void)
{
    long result = -1;
    puts("before");
    fflush(stdout);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20)); /* getpid of i386 */
    puts("behind");
    return 0;
}
"""
X32 = """
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void)
{
    printf("%d\\n", syscall(0x40000000 | SYS_getpid) < 0 ? errno : 0);
    return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86-64 has them")
def test_calls_by_the_numbers_of_another_machine(tmp_path: Path) -> None:
    """i386's end the process, x32's aren't there: the filter knows numbers of one machine only."""
    for name, source in (("i386", I386), ("x32", X32)):
        (tmp_path / f"{name}.c").write_text(source)
        subprocess.run(["clang", "-o", tmp_path / name, tmp_path / f"{name}.c"], check=True)
    first = guard(NAME, str(tmp_path / "i386"))
    assert (first.status, first.out) == (128 + signal.SIGSYS, "before\n")
    assert guard(NAME, str(tmp_path / "x32")).out == "38\n"  # ENOSYS


def test_ports_that_need_a_privilege_need_it_still() -> None:
    """The call is made by the guard, which is root; it is no more than its caller meanwhile."""
    text = """
        def low():
            with socket.socket() as s:
                return attempt(s.bind, ("127.0.0.1", 80))
        said = [low()]
        os.setgid(65534)
        os.setuid(65534)
        said.append(low())
        say(said)
    """
    assert guard_script(NAME, text) == [None, "EACCES"]


def test_a_user_namespace_gives_no_privilege_over_another_network() -> None:
    """Root of a user namespace may bind low ports in a network of its own, and not in the one that it came from."""
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        def low(s):
            return attempt(s.bind, ("127.0.0.1", 80))
        outer = socket.socket()
        os.setgid(65534)
        os.setuid(65534)
        assert libc.prctl(4, 1, 0, 0, 0) == 0
        assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())
        said = [low(outer)]
        assert libc.unshare(0x40000000) == 0, os.strerror(ctypes.get_errno())
        inner = socket.socket()
        inner.bind(("0.0.0.0", 80))
        say([*said, inner.getsockname()[1], low(outer)])
    """
    assert guard_script(NAME, text) == ["EACCES", 80, "EACCES"]


@pytest.mark.parametrize(("on_failure", "wanted"), [("closed", ["ENOSYS", "ENOSYS"]), ("open", [None, None])])
def test_a_guard_that_dies_leaves_closed_or_open_what_it_watched(on_failure: str, wanted: list[str | None]) -> None:
    text = """
        print("ready", flush=True)
        sys.stdin.readline()
        a, b = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        say([attempt(s.bind, ("127.0.0.1", 9000)) for s in (a, b)])
    """
    line = [*ALONE, *GUARD, "--object", str(compiled(NAME)), "--on-failure", on_failure, "--", *script(text)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guarding:
        assert guarding.stdin is not None and guarding.stdout is not None
        assert guarding.stdout.readline() == "ready\n"
        guarding.kill()
        guarding.wait(30)
        time.sleep(0.1)
        guarding.stdin.write("go on\n")
        guarding.stdin.flush()
        assert json.loads(guarding.stdout.readline()) == wanted


def test_a_call_that_was_being_served_goes_on_when_the_guard_dies() -> None:
    text = f"""{FULL}
    server, fillers = full()
    thread = threading.Thread(target=socket.socket().connect, args=(server.getsockname(),), daemon=True)
    thread.start()
    time.sleep(0.3)
    print("waits", flush=True)
    sys.stdin.readline()
    server.listen(64)
    thread.join(20)
    say(thread.is_alive())
    os._exit(0)
    """
    line = [*ALONE, *GUARD, "--object", str(compiled(NAME)), "--on-failure", "open", "--", *script(text)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guarding:
        assert guarding.stdin is not None and guarding.stdout is not None
        assert guarding.stdout.readline() == "waits\n"
        guarding.kill()
        guarding.wait(30)
        guarding.stdin.write("go on\n")
        guarding.stdin.flush()
        assert guarding.stdout.readline() == "false\n"


def test_nobody_who_listens_keeps_nobody_waiting() -> None:
    """Standard error is a pipe that nobody empties: more is denied than fits."""
    text = """
        for _ in range(2000):
            with socket.socket() as s:
                assert attempt(s.bind, ("127.0.0.1", 9000)) == "EPERM"
        say("done")
    """
    read, write = os.pipe()
    line = [*ALONE, *GUARD, "--object", str(compiled(NAME)), "--", *script(text)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=write, text=True) as guarding:
        os.close(write)
        assert guarding.stdout is not None
        assert guarding.stdout.readline() == '"done"\n'
        assert guarding.wait(30) == 0
    assert os.read(read, 1000).startswith(b"tidegate: bind 127.0.0.1:9000 denied (EPERM) by `bind4`")
    os.close(read)


def test_a_guard_under_a_guard_is_refused() -> None:
    ended = guard(NAME, *GUARD, "--object", str(compiled(NAME)), "--", "true")
    assert ended.status == 2
    assert ended.err.startswith("tidegate: the kernel refuses the filter: Device or resource busy")


def test_an_object_without_a_program_that_can_be_asked_is_refused() -> None:
    ended = guard("unseen", "true")
    assert ended.status == 1
    assert (
        "no program of it can guard: `established`: no system call tells when a connection is established" in ended.err
    )


def test_programs_that_can_not_be_asked_are_named() -> None:
    ended = guard("half_seen", *script("say(attempt(socket.socket().bind, ('', 9000)))"))
    assert ended.said == "EPERM"
    assert "the program `named` is never asked: names of sockets are the kernel's to tell" in ended.err


def test_a_program_that_is_not_there() -> None:
    ended = guard(NAME, "true", options=("--program", "bind5"))
    assert (ended.status, ended.err.count("there is no program 'bind5'")) == (1, 1)


def test_everything_is_as_before_for_who_has_no_privilege() -> None:
    """Nobody guards his own: no privilege is needed, and none can be gained."""
    text = """
        say([attempt(socket.socket().bind, ("127.0.0.1", port)) for port in (8999, 9000, 80)]
            + [open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0]])
    """
    asked = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    line = [*ALONE, *asked, *GUARD, "--object", str(compiled(NAME)), "--quiet", "--", *script(text)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert (done.stdout, done.returncode) == ('[null, "EPERM", "EACCES", "1"]\n', 0), done
