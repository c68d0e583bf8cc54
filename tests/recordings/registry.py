"""The recordings by name: the programs that each needs, what is started before, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.recordings import programs, scripts
from tests.recordings.line import Line

Part = Callable[[Line, Path], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """`prepare` starts servers, on a line that nobody listens to yet; `play` is recorded."""

    needs: tuple[str, ...]
    prepare: Part
    play: Part

    def write(self, path: Path) -> None:
        """Make the recording."""
        with TemporaryDirectory(prefix="tidegate-recording-") as folder, Line() as line:
            self.prepare(line, Path(folder))
            with line.recorded(path):
                self.play(line, Path(folder))


RECORDINGS: Mapping[str, Recording] = {
    "web": Recording(("nginx", "curl"), programs.web_servers, programs.web),
    "dns": Recording(("dnsmasq", "dig"), programs.name_servers, programs.names),
    "tftp": Recording(("dnsmasq", "curl"), programs.name_servers, programs.tftp),
    "mail": Recording(("msmtp",), programs.mail_servers, programs.mail),
    "sip": Recording(("sipp",), programs.call_server, programs.calls),
    "rtp": Recording((), programs.nobody, lambda line, _: scripts.sound(line)),
    "game": Recording((), programs.nobody, lambda line, _: scripts.game(line)),
    "quic": Recording(("gtlsserver", "gtlsclient", "openssl"), programs.quic_servers, programs.quic),
    "vpn": Recording(("openvpn", "openssl"), programs.vpn_server, programs.vpn),
    "ftp": Recording(("vsftpd", "curl"), programs.file_servers, programs.transfers),
    "traceroute": Recording(("traceroute",), programs.nobody, programs.traceroutes),
    "ping": Recording(("ping",), programs.nobody, programs.pings),
    "path-mtu": Recording(("nginx", "curl"), programs.narrow_link, programs.path_mtu),
    "scan": Recording(("nmap", "nginx"), programs.web_servers, programs.scans),
    "bulk": Recording(("iperf3",), programs.bulk_server, programs.bulk),
}
