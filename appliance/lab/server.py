"""The lab's server: HTTP with bodies that the client can check, and DNS-like answers over UDP, by IPv4 and IPv6."""

from __future__ import annotations

import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from appliance.lab import dns
from appliance.lab.worker import Lab

HTTP_PORT = 80
DNS_PORT = 53
BODY_BYTES = 64 * 1024


def body(number: int) -> bytes:
    """The body of `/<number>`, which both ends can compute."""
    return random.Random(number).randbytes(BODY_BYTES)


class Handler(BaseHTTPRequestHandler):
    """Answers `GET /<number>` with the body of that number. Each has a thread, that of its connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number = self.path.removeprefix("/")
        if not number.isdigit():
            self.send_error(404)
            return
        content = body(int(number))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The lab reports by counts."""


class HttpServer(ThreadingHTTPServer):
    """IPv6 socket that serves IPv4 too. Each connection has a thread."""

    address_family = socket.AF_INET6
    request_queue_size = 1024
    daemon_threads = True


def answer_queries(listening: socket.socket) -> None:
    """Answer DNS queries for ever."""
    while True:
        question, sender = listening.recvfrom(2048)
        answered = dns.answer(question)
        if answered:
            listening.sendto(answered, sender)


def main() -> None:
    lab = Lab()
    http = HttpServer(("::", HTTP_PORT), Handler)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", DNS_PORT))
    for serve in (http.serve_forever, lambda: answer_queries(udp)):
        threading.Thread(target=serve, daemon=True).start()
    if lab.ready():
        while not lab.is_over(1.0):
            pass
        lab.report()


if __name__ == "__main__":
    main()
