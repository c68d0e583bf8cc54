"""Connecting: by sockets that wait and that don't, over both families, with nobody kept waiting by somebody else."""

from __future__ import annotations

import errno

from tests.capabilities import requires
from tests.guarding import FULL, both_engines, guard_script

pytestmark = requires("root", "seccomp's listeners", "clang")
NAME = "binds_and_connects"


@both_engines
def test_a_connection_is_permitted_denied_and_redirected(engine: str) -> None:
    text = """
        def listening(family, host, port):
            s = socket.socket(family)
            s.bind((host, port))
            s.listen()
            return s
        said = {}
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            servers = [listening(family, host, port) for port in (8999, 9002)]
            for port in (8998, 8999, 9000, 9001):
                with socket.socket(family) as s:
                    said[f"{family.name} {port}"] = attempt(s.connect, (host, port)) or s.getpeername()[1]
        say(said)
    """
    wanted = {8998: "ECONNREFUSED", 8999: 8999, 9000: "EPERM", 9001: 9002}
    assert guard_script(NAME, text, engine=engine) == {
        f"{family} {port}": became for family in ("AF_INET", "AF_INET6") for port, became in wanted.items()
    }


def test_a_connection_that_does_not_wait_is_in_progress() -> None:
    text = """
        import select
        server = socket.create_server(("127.0.0.1", 8999))
        s = socket.socket()
        s.setblocking(False)
        first = attempt(s.connect, ("127.0.0.1", 8999))
        select.select([], [s], [], 5)
        say([first, s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[1], s.getblocking()])
    """
    assert guard_script(NAME, text) == ["EINPROGRESS", 0, 8999, False]


def test_connected_datagrams_and_a_disconnection() -> None:
    text = """
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 9002))
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        denied = attempt(s.connect, ("127.0.0.1", 9000))
        s.connect(("127.0.0.1", 9001))
        s.send(b"moved")
        got = server.recv(100).decode()
        import ctypes
        ctypes.CDLL(None).connect(s.fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16)
        say([denied, got, attempt(s.getpeername)])
    """
    assert guard_script(NAME, text) == ["EPERM", "moved", "ENOTCONN"]


def test_a_socket_of_both_families_is_judged_by_the_address_that_it_is_given() -> None:
    """As in the kernel: a mapped address is one of IPv6; a datagram socket of IPv6 may be given one of IPv4."""
    text = """
        stream, datagram = socket.socket(socket.AF_INET6), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server = socket.create_server(("127.0.0.1", 9002))
        mapped = attempt(stream.connect, ("::ffff:127.0.0.1", 9000))
        moved = attempt(stream.connect, ("::ffff:127.0.0.1", 9001)) or stream.getpeername()[:2]
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        address = struct.pack("=H2s4s8x", socket.AF_INET, (9000).to_bytes(2, "big"), bytes([127, 0, 0, 1]))
        libc.connect(datagram.fileno(), address, 16)
        say([mapped, moved, errno.errorcode[ctypes.get_errno()]])
    """
    assert guard_script(NAME, text) == ["EPERM", ["::ffff:127.0.0.1", 9002], "EPERM"]


def test_who_waits_keeps_nobody_waiting() -> None:
    text = f"""{FULL}
    server, fillers = full()
    threads = [
        threading.Thread(target=socket.socket().connect, args=(server.getsockname(),), daemon=True) for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    other = socket.create_server(("127.0.0.1", 8999))
    began = time.monotonic()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", 8999)):
            other.accept()[0].close()
    took = time.monotonic() - began
    say([sum(thread.is_alive() for thread in threads), took < 10])
    os._exit(0)
    """
    assert guard_script(NAME, text) == [40, True]


def test_a_signal_breaks_a_connection_off_as_without_a_guard() -> None:
    """The call fails or is made anew, as the handler says (SA_RESTART); Python's own raises from it."""
    text = f"""{FULL}
    server, fillers = full()
    class Alarm(Exception): pass
    def ring(*_): raise Alarm
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    try:
        socket.socket().connect(server.getsockname())
        first = "connected"
    except Alarm:
        first = "alarm"
    took = time.monotonic() - began
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    address = struct.pack("=H2s4s8x", 2, server.getsockname()[1].to_bytes(2, "big"), bytes([127, 0, 0, 1]))
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: None)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    def interrupted(restarts):
        libc.signal(signal.SIGALRM, ctypes.cast(handler, ctypes.c_void_p))
        libc.siginterrupt(int(signal.SIGALRM), int(not restarts))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        s = socket.socket()
        if restarts and os.fork() == 0:
            time.sleep(1.2)
            s.shutdown(socket.SHUT_RDWR)
            os._exit(0)
        libc.connect(s.fileno(), address, 16)
        return errno.errorcode[ctypes.get_errno()]
    say([first, took < 5, interrupted(False), interrupted(True)])
    """
    assert guard_script(NAME, text) == ["alarm", True, "EINTR", "ECONNRESET"]


def test_who_is_killed_while_he_connects_is_gone_at_once() -> None:
    text = f"""{FULL}
    server, fillers = full()
    child = os.fork()
    if child == 0:
        socket.socket().connect(server.getsockname())
        os._exit(0)
    time.sleep(0.3)
    began = time.monotonic()
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    say([status, time.monotonic() - began < 2])
    """
    assert guard_script(NAME, text) == [9, True]


def test_connecting_by_sending_is_no_way_around() -> None:
    """MSG_FASTOPEN: the caller learns that it isn't to be had, as from a kernel that has it switched off."""
    text = """
        server = socket.create_server(("127.0.0.1", 9000 - 1))
        fast = 0x20000000
        said = []
        for port in (8999, 9000):
            s = socket.socket()
            said.append(attempt(s.sendto, b"x", fast, ("127.0.0.1", port)))
            said.append(attempt(s.sendmsg, [b"x"], [], fast, ("127.0.0.1", port)))
        say(said)
    """
    assert guard_script(NAME, text) == [errno.errorcode[errno.EOPNOTSUPP]] * 4
