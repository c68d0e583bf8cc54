"""Programs that know nothing of a guard: a web server, clients, a server in Python."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.capabilities import requires
from tests.guarding import PYTHON, both_engines, guard

pytestmark = requires("root", "seccomp's listeners", "clang")
NAME = "binds_and_connects"

NGINX = """\
daemon {daemon};
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "from {port}\\n"; }} }}
}}
"""


def nginx(place: Path, port: int, daemon: str = "on") -> str:
    """The configuration's path."""
    path = place / f"nginx-{port}.conf"
    path.write_text(NGINX.format(place=place, port=port, daemon=daemon))
    return str(path)


@requires("nginx", "curl")
@both_engines
def test_nginx_is_moved_and_curl_asks_it(tmp_path: Path, engine: str) -> None:
    """Bound to 9001 it serves at 9002; curl is sent there as well. It forks, becomes a daemon, and changes its user."""
    config = nginx(tmp_path, 9001)
    asks = "curl -s --max-time 10 http://127.0.0.1:9001/ http://127.0.0.1:9002/"
    line = f"nginx -c {config} && {asks}; nginx -s stop -c {config}"
    ended = guard(NAME, "sh", "-c", line, engine=engine)
    assert (ended.out, ended.status) == ("from 9001\n" * 2, 0), ended


@requires("nginx")
@both_engines
def test_nginx_does_not_start_where_it_may_not(tmp_path: Path, engine: str) -> None:
    ended = guard(NAME, "nginx", "-c", nginx(tmp_path, 9000, daemon="off"), engine=engine)
    assert ended.status == 1
    assert "bind() to 127.0.0.1:9000 failed (1: Operation not permitted)" in ended.err
    told = re.search(r"bind 127\.0\.0\.1:9000 denied \(EPERM\) by `bind4`: (\S+) ", ended.err)
    path = shutil.which("nginx")
    assert told is not None
    assert told[1] == path or (engine, told[1]) == ("kernel", "nginx")  # it may have ended before it is told


@requires("curl")
@both_engines
def test_curl_and_the_http_server_of_python(tmp_path: Path, engine: str) -> None:
    (tmp_path / "page").write_text("hello\n")
    line = f"""
        {PYTHON} -m http.server --bind ::1 --directory {tmp_path} 9001 >/dev/null 2>&1 &
        server=$!
        for turn in $(seq 100); do
            curl -gs --max-time 5 'http://[::1]:9001/page' && break
            sleep 0.1
        done
        curl -gs --max-time 5 'http://[::1]:9000/page'; echo $?
        kill $server
    """
    ended = guard(NAME, "sh", "-c", line, engine=engine)
    assert ended.out == "hello\n7\n", ended  # 7: failed to connect
