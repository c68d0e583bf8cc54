"""Datagrams: each that names an address is judged, and sent from a copy of what was judged."""

from __future__ import annotations

from tests.capabilities import requires
from tests.guarding import both_engines, guard_script

pytestmark = requires("root", "seccomp's listeners", "clang")

SERVERS = """
    def receiver(family, host, port):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((host, port))
        s.settimeout(5)
        return s
    def got(server):
        data, source = server.recvfrom(70000)
        return [data.decode(), source[0]]
"""


@both_engines
def test_a_datagram_is_permitted_denied_and_redirected(engine: str) -> None:
    text = f"""{SERVERS}
    said = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        near, far = receiver(family, host, 8999), receiver(family, host, 9002)
        s = socket.socket(family, socket.SOCK_DGRAM)
        said.append(s.sendto(b"near", (host, 8999)))
        said.append(attempt(s.sendto, b"x", (host, 9000)))
        said.append(s.sendmsg([b"f", b"a", b"r"], [], 0, (host, 9001)))
        said.append(attempt(s.sendmsg, [b"x"], [], 0, (host, 9000)))
        said.append([got(near), got(far)])
    say(said)
    """
    assert guard_script("sends", text, engine=engine) == [
        *(4, "EPERM", 3, "EPERM", [["near", "127.0.0.1"], ["far", "127.0.0.9"]]),
        *(4, "EPERM", 3, "EPERM", [["near", "::1"], ["far", "::1"]]),
    ]


@both_engines
def test_what_names_no_address_goes_where_it_is_connected_to(engine: str) -> None:
    text = f"""{SERVERS}
    near = receiver(socket.AF_INET, "127.0.0.1", 9000)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", 9000))
    s.send(b"a")
    s.sendmsg([b"b"])
    say([got(near)[0], got(near)[0], attempt(s.sendto, b"c", ("127.0.0.1", 9000))])
    """
    assert guard_script("sends", text, engine=engine) == ["a", "b", "EPERM"]


@both_engines
def test_many_messages_up_to_the_one_that_is_denied(engine: str) -> None:
    text = f"""{SERVERS}
    import ctypes
    class iovec(ctypes.Structure):
        _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))
    class mmsghdr(ctypes.Structure):
        _fields_ = (("name", ctypes.c_char_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
                    ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                    ("flags", ctypes.c_long), ("sent", ctypes.c_long))
    def message(port, data):
        name = struct.pack("=H2s4s8x", 2, port.to_bytes(2, "big"), bytes([127, 0, 0, 1]))
        return mmsghdr(name, 16, ctypes.pointer(iovec(data, len(data))), 1)
    libc = ctypes.CDLL(None, use_errno=True)
    near, far = receiver(socket.AF_INET, "127.0.0.1", 8999), receiver(socket.AF_INET, "127.0.0.1", 9002)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    messages = (mmsghdr * 4)(message(8999, b"a"), message(9001, b"bcd"), message(9000, b"x"), message(8999, b"y"))
    count = libc.sendmmsg(s.fileno(), messages, 4, 0)
    denied = libc.sendmmsg(s.fileno(), ctypes.byref(messages, 2 * ctypes.sizeof(mmsghdr)), 2, 0)
    say([count, [m.sent for m in messages], got(near)[0], got(far)[0], denied, errno.errorcode[ctypes.get_errno()]])
    """
    assert guard_script("sends", text, engine=engine) == [2, [1, 3, 0, 0], "a", "bcd", -1, "EPERM"]


def test_other_addresses_of_the_same_place() -> None:
    """An IPv4 address in IPv6 clothes, one of IPv4 on a socket of IPv6, and one without a family."""
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        six, four = (socket.socket(f, socket.SOCK_DGRAM) for f in (socket.AF_INET6, socket.AF_INET))
        def raw(s, family):
            address = struct.pack("=H2s4s8x", family, (9000).to_bytes(2, "big"), bytes([127, 0, 0, 1]))
            libc.sendto(s.fileno(), b"x", 1, 0, address, 16)
            return errno.errorcode[ctypes.get_errno()]
        say([
            attempt(six.sendto, b"x", ("::ffff:127.0.0.1", 9000)),
            raw(six, socket.AF_INET), raw(four, socket.AF_UNSPEC), raw(four, socket.AF_UNIX),
        ])
    """
    assert guard_script("sends", text) == ["EPERM", "EPERM", "EPERM", "EAFNOSUPPORT"]


@both_engines
def test_sizes_that_can_and_can_not_be_sent(engine: str) -> None:
    text = f"""{SERVERS}
    near = receiver(socket.AF_INET, "127.0.0.1", 8999)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sizes = (0, 1, 65507)
    sent = [s.sendto(bytes(size), ("127.0.0.1", 8999)) for size in sizes]
    say([sent, [len(near.recv(70000)) for _ in sizes], attempt(s.sendto, bytes(65508), ("127.0.0.1", 8999)),
         attempt(s.sendto, bytes(1 << 20), ("127.0.0.1", 8999))])
    """
    assert guard_script("sends", text, engine=engine) == [[0, 1, 65507], [0, 1, 65507], "EMSGSIZE", "EMSGSIZE"]


def test_a_mark_takes_the_privilege_of_its_sender() -> None:
    """SO_MARK as a control message: the guard might, and its caller may not."""
    text = """
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        marked = [(socket.SOL_SOCKET, 36, struct.pack("=I", 1))]
        send = lambda: attempt(s.sendmsg, [b"x"], marked, 0, ("127.0.0.1", 8999))
        said = [send()]
        os.setuid(65534)
        say([*said, send()])
    """
    assert guard_script("sends", text) == [None, "EPERM"]


@both_engines
def test_descriptors_are_still_handed_over(engine: str) -> None:
    text = """
        a, b = socket.socketpair()
        socket.send_fds(a, [b"x"], [0])
        data, descriptors, _, _ = socket.recv_fds(b, 10, 1)
        c = socket.create_server(("127.0.0.1", 8999))
        d = socket.create_connection(("127.0.0.1", 8999))
        d.sendmsg([b"stream"])
        say([data.decode(), len(descriptors), c.accept()[0].recv(100).decode()])
    """
    assert guard_script("sends", text, engine=engine) == ["x", 1, "stream"]
