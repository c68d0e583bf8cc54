"""Datagrams that are received: programs say where they came from, and nothing else of them changes."""

from __future__ import annotations

from tests.capabilities import requires
from tests.guarding import both_engines, guard_script

pytestmark = requires("root", "seccomp's listeners", "clang")

PAIR = """
    def pair(family, host):
        a, b = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        a.bind((host, 9002))
        b.bind((host, 8999))
        b.settimeout(10)
        return a, b
"""


@both_engines
def test_a_source_is_told_as_programs_have_it(engine: str) -> None:
    text = f"""{PAIR}
    said = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        a, b = pair(family, host)
        b.setblocking(True)
        for text in (b"one", b"two", b"three", b"four"):
            a.sendto(text, (host, 8999))
        one, source = b.recvfrom(100)
        said += [one.decode(), source[:2]]
        said.append(b.recv(100).decode())
        three, _, flags, source = b.recvmsg(2)
        said += [three.decode(), bool(flags & socket.MSG_TRUNC), source[:2]]
        first, second = bytearray(3), bytearray(3)
        length, _, flags, source = b.recvmsg_into([first, second])
        said += [length, (first + second[:1]).decode(), flags, source[:2]]
    say(said)
    """
    assert guard_script("sends", text, engine=engine) == [
        fact
        for host in ("127.0.0.1", "::1")
        for fact in ("one", [host, 9001], "two", "th", True, [host, 9001], 4, "four", 0, [host, 9001])
    ]


def test_who_waits_for_a_datagram_gets_it_and_nobody_waits_for_him() -> None:
    text = f"""{PAIR}
    a, b = pair(socket.AF_INET, "127.0.0.1")
    b.setblocking(True)
    got = []
    thread = threading.Thread(target=lambda: got.append(b.recvfrom(100)))
    thread.start()
    time.sleep(0.3)
    c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.setblocking(False)
    nothing = attempt(c.recvfrom, 10)
    a.sendto(b"late", ("127.0.0.1", 8999))
    thread.join(10)
    say([nothing, got[0][0].decode(), got[0][1]])
    """
    assert guard_script("sends", text) == ["EAGAIN", "late", ["127.0.0.1", 9001]]


def test_a_signal_and_a_time_limit_end_the_wait() -> None:
    text = f"""{PAIR}
    a, b = pair(socket.AF_INET, "127.0.0.1")
    b.setblocking(True)
    class Alarm(Exception): pass
    def ring(*_): raise Alarm
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        b.recvfrom(10)
        said = ["received"]
    except Alarm:
        said = ["alarm"]
    b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 300000))
    say([*said, attempt(b.recvfrom, 10)])
    """
    assert guard_script("sends", text) == ["alarm", "EAGAIN"]


def test_memory_that_is_not_there_and_control_messages() -> None:
    text = f"""{PAIR}
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = pair(socket.AF_INET, "127.0.0.1")
    b.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    for _ in range(2):
        a.sendto(b"x", ("127.0.0.1", 8999))
    length = ctypes.c_int(16)
    libc.recvfrom(b.fileno(), ctypes.c_void_p(8), 10, 0, ctypes.create_string_buffer(16), ctypes.byref(length))
    fault = errno.errorcode[ctypes.get_errno()]
    data, control, flags, source = b.recvmsg(10, 100)
    say([fault, data.decode(), [(level, kind, len(text)) for level, kind, text in control], source])
    """
    assert guard_script("sends", text) == ["EFAULT", "x", [[0, 8, 12]], ["127.0.0.1", 9001]]


def test_other_sockets_are_as_they_were() -> None:
    text = """
        a, b = socket.socketpair()
        socket.send_fds(a, [b"x"], [0])
        data, descriptors, _, _ = socket.recv_fds(b, 10, 1)
        server = socket.create_server(("127.0.0.1", 8999))
        client = socket.create_connection(("127.0.0.1", 8999))
        client.sendall(b"stream")
        say([data.decode(), len(descriptors), server.accept()[0].recvmsg(100)[0].decode()])
    """
    assert guard_script("sends", text) == ["x", 1, "stream"]
