"""Programs of Windows' sock_addr hooks."""

from __future__ import annotations

from tests.capabilities import requires
from tests.guarding import guard_script

pytestmark = requires("root", "seccomp's listeners", "clang")


def test_binding_listening_connecting_and_its_authorization() -> None:
    text = """
        said = []
        for port in (8998, 8999, 9000):
            with socket.socket() as s:
                said.append(attempt(s.bind, ("127.0.0.1", port)) or attempt(s.listen))
        far = socket.create_server(("::1", 9002), family=socket.AF_INET6)
        for port in (9001, 9002, 9003):
            with socket.socket(socket.AF_INET6) as s:
                said.append(attempt(s.connect, ("::1", port)) or s.getpeername()[1])
        say(said)
    """
    assert guard_script("windows_sock_addr", text) == ["EPERM", None, "EPERM", 9002, 9002, "EPERM"]
