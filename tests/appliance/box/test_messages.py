"""What a box tells whoever started it, and what happens when nobody listens."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from tests.appliance.box.conftest import DROP_NINE, HEAD, TIDEGATE, Start, wait_until
from tests.appliance.box.wire import arrivals, udp
from tests.netns import Topology


def test_it_goes_on_when_nobody_reads_its_messages(net: Topology, config: Path) -> None:
    process = net.box.popen([*TIDEGATE, "run", str(config)], stderr=subprocess.PIPE)
    try:
        while b"metrics on" not in process.stderr.readline():
            assert process.poll() is None
        process.stderr.close()
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: arrivals(net, udp(9), udp(10)) == [udp(10)])
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_the_port_that_the_kernel_chose_is_told(net: Topology, start: Start) -> None:
    box = start(DROP_NINE, head=HEAD.replace("127.0.0.1:9478", "127.0.0.1:0"))
    assert re.search(r"metrics on 127\.0\.0\.1:[1-9]", box.log)


def test_systemd_is_told_what_goes_on(net: Topology, config: Path) -> None:
    manager = config.with_name("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(manager))
        heard.settimeout(20)
        process = net.box.popen([*TIDEGATE, "run", str(config)], env={**os.environ, "NOTIFY_SOCKET": str(manager)})
        assert heard.recv(4096) == b"READY=1\nSTATUS=1 rules loaded"
        config.write_text(HEAD + DROP_NINE + "  - {id: ten, match: {udp.dport: 10}, action: drop}\n")
        process.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", heard.recv(4096))
        assert heard.recv(4096) == b"READY=1\nSTATUS=2 rules loaded"
        process.terminate()
        assert heard.recv(4096) == b"STOPPING=1"
        assert process.wait(20) == 0
