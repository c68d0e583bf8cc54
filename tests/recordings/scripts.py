"""Small programs for protocols that no package speaks as wanted here: a game, a call's sound, a mail server."""

from __future__ import annotations

import socket
import struct
import threading
import time

from tests.recordings.line import FAR, INSIDE, START_SECONDS, Line

TICKS, TICK_SECONDS = 64, 1 / 64
SAMPLES = 160  # of a call, at 8 kHz in 20 ms (G.711)
A2S_INFO = b"\xff\xff\xff\xffTSource Engine Query\0"
A2S_CHALLENGE = b"\xff\xff\xff\xffA\x11\x22\x33\x44"
A2S_ANSWER = b"\xff\xff\xff\xffI\x11A server\0de_dust2\0cstrike\0"
QUAKE_STATUS = b"\xff\xff\xff\xffgetstatus\n"
QUAKE_ANSWER = b"\xff\xff\xff\xffstatusResponse\n\\mapname\\q3dm17" + b"x" * 500
TALK = ((A2S_INFO, A2S_CHALLENGE), (A2S_INFO + A2S_CHALLENGE[5:], A2S_ANSWER), (QUAKE_STATUS, QUAKE_ANSWER))


def game(line: Line) -> None:
    """Ask two kinds of servers what they are, then play for a second and a half: 64 small datagrams a second each way.
    Servers are on both sides."""
    for own, other in ((INSIDE, FAR), (FAR, INSIDE)):
        here, there = (line.inside, line.far) if own is INSIDE else (line.far, line.inside)
        for source, target in zip(own, other, strict=True):
            server = line.socket(there, target, 27015)
            client = line.socket(here, source, 0)
            client.connect((target, 27015))
            address = client.getsockname()
            for question, answer in TALK:
                client.send(question)
                assert server.recv(2048) == question
                server.sendto(answer, address)
                assert client.recv(2048) == answer
            for tick in range(TICKS + TICKS // 2):
                client.send(struct.pack("<I", tick) + b"move" * 8)
                server.recv(2048)
                server.sendto(struct.pack("<I", tick) + b"entities" * 30, address)
                client.recv(2048)
                time.sleep(TICK_SECONDS / 8)
            server.close()


def sound(line: Line) -> None:
    """Eight calls' RTP at once, 50 datagrams a second each way (RFC 3551), for a second."""
    ends = []
    for call in range(8):
        family = call % 2
        near = line.socket(line.inside, INSIDE[family], 16384 + 2 * call)
        far = line.socket(line.far, FAR[family], 20000 + 2 * call)
        near.connect(far.getsockname()[:2])
        far.connect(near.getsockname()[:2])
        ends += [near, far]
    for number in range(50):
        for source, end in enumerate(ends):
            end.send(struct.pack(">BBHII", 0x80, 0, number, number * SAMPLES, source) + b"\xd5" * SAMPLES)
        for end in ends:
            end.recv(2048)
        time.sleep(0.02)


class MailServer:
    """SMTP (RFC 5321), as much as a client needs to get rid of a message. One connection after the other."""

    def __init__(self, listener: socket.socket) -> None:
        listener.listen(16)
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(START_SECONDS)
            with connection, connection.makefile("rwb") as stream:
                self._talk(stream)

    @staticmethod
    def _talk(stream: socket.SocketIO) -> None:
        def say(text: str) -> None:
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 mail.example.org ESMTP")
        while line := stream.readline():
            verb = line[:4].upper().strip()
            if verb == b"EHLO":
                say("250-mail.example.org\r\n250 SIZE 10000000")
            elif verb == b"DATA":
                say("354 go on")
                while (text := stream.readline()) and text != b".\r\n":
                    pass
                say("250 taken")
            elif verb == b"QUIT":
                say("221 good bye")
                return
            else:
                say("250 good")
