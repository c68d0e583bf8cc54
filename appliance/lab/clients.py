"""The lab's good clients. A request counts as sent when it is made and as received when the *right* answer came."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from appliance.lab import dns
from appliance.lab.server import DNS_PORT, HTTP_PORT, body
from appliance.lab.worker import Lab

# A box may let a new source's first SYN fall and pass its retransmission, so a connection may take some seconds.
HTTP_TIMEOUT = 15.0
ANSWER_TIMEOUT = 3.0
ECHO_REQUEST, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}  # RFC 792, RFC 4443


@dataclass
class Client:
    """Makes one kind of request, from one address after another, `pause` seconds apart; ends when `over` is set.
    A thread of its own counts; any may read."""

    kind: str
    request: Callable[[int, str], bool]
    sources: list[str]
    pause: float
    sent: int = 0
    received: int = 0
    thread: threading.Thread = field(init=False)

    def start(self, over: threading.Event) -> None:
        self.thread = threading.Thread(target=self._run, args=(over,))
        self.thread.start()

    def _run(self, over: threading.Event) -> None:
        for number, source in zip(itertools.count(1), itertools.cycle(self.sources), strict=False):
            if over.wait(self.pause):
                break
            self.sent += 1
            with suppress(OSError, http.client.HTTPException):
                self.received += self.request(number, source)


def fetch(server: str, number: int, source: str) -> bool:
    """Fetch a body over HTTP in a new connection; whether it is right to the last byte."""
    connection = http.client.HTTPConnection(server, HTTP_PORT, HTTP_TIMEOUT, source_address=(source, 0))
    try:
        connection.request("GET", f"/{number}")
        response = connection.getresponse()
        return response.status == 200 and response.read() == body(number)
    finally:
        connection.close()


def ask_name(server: str, number: int, source: str, timeout: float = ANSWER_TIMEOUT) -> bool:
    """Ask one DNS question, once; whether the right answer came in time."""
    question = dns.query(number)
    with socket.socket(_family(server), socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout)
        asking.bind((source, 0))
        asking.connect((server, DNS_PORT))
        asking.send(question)
        return asking.recv(2048) == dns.answer(question)


def ping(server: str, number: int, source: str) -> bool:
    """Send one echo request; whether its own reply came in time."""
    family = _family(server)
    version = 6 if family == socket.AF_INET6 else 4
    protocol = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
    rest = struct.pack("!HH", os.getpid() & 0xFFFF, number & 0xFFFF) + b"tidegate lab".ljust(56, b".")
    request = bytes((ECHO_REQUEST[version], 0)) + b"\0\0" + rest
    if version == 4:  # the kernel fills in the checksum of ICMPv6 only
        request = request[:2] + _checksum(request).to_bytes(2, "big") + request[4:]
    with socket.socket(family, socket.SOCK_RAW, protocol) as asking:
        asking.bind((source, 0))
        asking.connect((server, 0))
        asking.send(request)
        return _await_echo(asking, version, rest)


def _await_echo(asking: socket.socket, version: int, rest: bytes) -> bool:
    end = time.monotonic() + ANSWER_TIMEOUT
    while (left := end - time.monotonic()) > 0:
        asking.settimeout(left)
        message = asking.recv(2048)
        if version == 4:
            message = message[(message[0] & 0x0F) * 4 :]  # a raw IPv4 socket gives the IP header too
        if message[0] == ECHO_REPLY[version] and message[4:] == rest:
            return True
    return False


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def make_clients(servers: dict[str, str], sources: dict[str, list[str]]) -> list[Client]:
    """One for every kind of request, by IPv4 and by IPv6."""
    kinds = (("http", fetch, 0.2), ("dns", ask_name, 0.02), ("ping", ping, 0.1))
    clients = []
    for version in ("4", "6"):
        for kind, request, pause in kinds:
            server = servers[version]
            clients.append(Client(kind + version, _bound(request, server), sources[version], pause))
    return clients


def _bound(request: Callable[[str, int, str], bool], server: str) -> Callable[[int, str], bool]:
    return lambda number, source: request(server, number, source)


def main() -> None:
    settings = json.loads(sys.argv[1])
    clients = make_clients(settings["servers"], settings["sources"])
    lab = Lab(lambda: {client.kind: [client.sent, client.received] for client in clients})
    over = threading.Event()
    if lab.ready():
        for client in clients:
            client.start(over)
        while not lab.is_over(1.0):
            pass
        over.set()
        for client in clients:
            client.thread.join()
        lab.report()


if __name__ == "__main__":
    main()
