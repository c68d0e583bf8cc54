"""What the lab's good clients ask, and whether the *right* answer comes."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import time
from dataclasses import dataclass

from appliance.lab import dns
from appliance.lab.server import DNS_PORT, HTTP_PORT, body

ECHO_REQUEST, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}  # RFC 792, RFC 4443


@dataclass
class Asking:
    """One request: its number, the address it comes from, and how long the answer is waited for, in seconds. `port` is
    the one that it came from, 0 where there is none. For one thread."""

    number: int
    source: str
    patience: float
    port: int = 0


def fetch(server: str, asking: Asking) -> bool:
    """Fetch a body over HTTP in a new connection; whether it is right to the last byte."""
    connection = http.client.HTTPConnection(server, HTTP_PORT, asking.patience, source_address=(asking.source, 0))
    try:
        connection.connect()
        asking.port = connection.sock.getsockname()[1]
        connection.request("GET", f"/{asking.number}")
        response = connection.getresponse()
        return response.status == 200 and response.read() == body(asking.number)
    finally:
        connection.close()


def ask_name(server: str, asking: Asking) -> bool:
    """Ask one DNS question, once; whether the right answer came in time."""
    question = dns.query(asking.number)
    with socket.socket(_family(server), socket.SOCK_DGRAM) as client:
        client.settimeout(asking.patience)
        client.bind((asking.source, 0))
        client.connect((server, DNS_PORT))
        asking.port = client.getsockname()[1]
        client.send(question)
        return client.recv(2048) == dns.answer(question)


def ping(server: str, asking: Asking) -> bool:
    """Send one echo request; whether its own reply came in time."""
    family = _family(server)
    version = 6 if family == socket.AF_INET6 else 4
    protocol = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
    rest = struct.pack("!HH", os.getpid() & 0xFFFF, asking.number & 0xFFFF) + b"tidegate lab".ljust(56, b".")
    request = bytes((ECHO_REQUEST[version], 0)) + b"\0\0" + rest
    if version == 4:  # the kernel fills in the checksum of ICMPv6 only
        request = request[:2] + _checksum(request).to_bytes(2, "big") + request[4:]
    with socket.socket(family, socket.SOCK_RAW, protocol) as client:
        client.bind((asking.source, 0))
        client.connect((server, 0))
        client.send(request)
        return _await_echo(client, version, rest, asking.patience)


def _await_echo(client: socket.socket, version: int, rest: bytes, patience: float) -> bool:
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        message = client.recv(2048)
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
