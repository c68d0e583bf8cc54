"""What the programs are given to do. Each function works on a line that is being recorded, for some seconds at most.

Servers stand inside, where the box protects them, and far out, where inside hosts use them: both, wherever it matters.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.netns import Host
from tests.recordings.line import FAR, INSIDE, Line
from tests.recordings.scripts import MailServer

LARGE, SMALL = 3_000_000, 20_000  # bytes of the two files that servers have
PATIENCE = 20  # seconds that a program may take


def _pairs(line: Line) -> Iterator[tuple[Host, str]]:
    """Every client with every address that it asks: both ways, both families."""
    for client, addresses in ((line.far, INSIDE), (line.inside, FAR)):
        for address in addresses:
            yield client, address


def _url(address: str, path: str, scheme: str = "http") -> str:
    return f"{scheme}://[{address}]{path}" if ":" in address else f"{scheme}://{address}{path}"


def files(folder: Path) -> Path:
    """A folder with a large and a small file, for servers of files."""
    root = folder / "files"
    root.mkdir(exist_ok=True)
    (root / "large").write_bytes(bytes(range(256)) * (LARGE // 256))
    (root / "small").write_bytes(b"x" * SMALL)
    folder.chmod(0o755)
    return root


def _nginx(line: Line, place: Host, folder: Path) -> None:
    root, home = files(folder), folder / f"nginx-{place.name}"
    home.mkdir()
    configuration = home / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {home}/pid; error_log {home}/log; user root; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};\n"
        f"uwsgi_temp_path {home}; scgi_temp_path {home}; client_max_body_size 20m;\n"
        f"server {{ listen 80; listen [::]:80; root {root}; location /up {{ return 200; }} }} }}\n"
    )
    line.serve(place, "nginx", "-c", str(configuration), "-e", f"{home}/log", port=80)


def web_servers(line: Line, folder: Path) -> None:
    _nginx(line, line.inside, folder)
    _nginx(line, line.far, folder)


def web(line: Line, folder: Path) -> None:
    """Pages one by one on own connections, many at once, a large file down and up."""
    for client, address in _pairs(line):
        small = _url(address, "/small")
        for _ in range(5):
            client.run(["curl", "-sSf", "-o", "/dev/null", small])
        client.run(["curl", "-sSf", "--parallel", "--parallel-max", "10", *["-o", "/dev/null", small] * 40])
        client.run(["curl", "-sSf", "-o", "/dev/null", _url(address, "/large")])
        upload = ["-X", "POST", "-T", str(folder / "files/small"), _url(address, "/up")]
        client.run(["curl", "-sSf", "-o", "/dev/null", *upload])


def _dnsmasq(line: Line, place: Host, folder: Path) -> None:
    long = ",".join("x" * 200 for _ in range(5))
    line.serve(
        place, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
        "--pid-file", "--address=/example.org/198.18.1.7", "--address=/example.org/2001:db8:1::7",
        f"--txt-record=long.example.org,{long}", f"--txt-record=huge.example.org,{long},{long}",
        "--edns-packet-max=4096", "--enable-tftp",
        f"--tftp-root={files(folder)}", "--local=/example.org/", port=53,
    )  # fmt: skip


def name_servers(line: Line, folder: Path) -> None:
    _dnsmasq(line, line.inside, folder)
    _dnsmasq(line, line.far, folder)


def names(line: Line, _folder: Path) -> None:
    """Many small questions, large answers by UDP, and questions by TCP."""
    for client, address in _pairs(line):
        questions = [
            word for number in range(60) for kind in ("A", "AAAA") for word in (f"h{number}.example.org", kind)
        ]
        client.run(["dig", f"@{address}", "+tries=1", "+short", *questions])
        client.run(["dig", f"@{address}", "+tries=1", "+ignore", "+bufsize=1232", *["long.example.org", "TXT"] * 10])
        client.run(["dig", f"@{address}", "+tries=1", "+tcp", "long.example.org", "TXT"])
    for address in FAR:
        line.inside.run(["dig", f"@{address}", "+tries=1", "+bufsize=4096", "huge.example.org", "TXT"])  # in fragments


def tftp(line: Line, _folder: Path) -> None:
    for address in FAR:
        line.inside.run(["curl", "-sSf", "-o", "/dev/null", _url(address, "/small", "tftp")])


def mail_servers(line: Line, _folder: Path) -> None:
    for place, addresses in ((line.inside, INSIDE), (line.far, FAR)):
        for address in addresses:
            MailServer(line.socket(place, address, 25, socket.SOCK_STREAM))


def mail(line: Line, _folder: Path) -> None:
    message = "Subject: hello\r\n\r\n" + "A line of the message.\r\n" * 4000
    for client, address in _pairs(line):
        for _ in range(5):
            options = ["--host", address, "--port", "25", "--auth=off", "--tls=off", "--from", "a@example.org"]
            client.run(["msmtp", *options, "b@example.org"], input=message)


def call_server(line: Line, folder: Path) -> None:
    for address in FAR:
        line.serve(line.far, "sipp", "-sn", "uas", "-i", address, "-p", "5060", "-nostdin", "-bg")


def calls(line: Line, _folder: Path) -> None:
    """Calls that an exchange inside makes by SIP."""
    for own, address in zip(INSIDE, FAR, strict=True):
        target = f"[{address}]:5060" if ":" in address else f"{address}:5060"
        line.inside.run(
            ["sipp", "-sn", "uac", "-i", own, "-p", "5060", "-m", "20", "-r", "40", "-d", "100", "-nostdin", target],
            timeout=PATIENCE, check=False,
        )  # fmt: skip


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """The files of a key and of a certificate that it signed itself."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(key), str(certificate)


def quic_servers(line: Line, folder: Path) -> None:
    pair = certificate(folder, "quic")
    for place, addresses in ((line.inside, INSIDE), (line.far, FAR)):
        for address in addresses:
            line.serve(place, "gtlsserver", "-q", "-d", str(files(folder)), address, "443", *pair)


def quic(line: Line, _folder: Path) -> None:
    for client, address in _pairs(line):
        url = _url(address, "/small", "https")
        for path in (url, url, _url(address, "/large", "https")):
            client.run(["gtlsclient", "-q", "--exit-on-all-streams-close", address, "443", path], timeout=PATIENCE)


def vpn_server(line: Line, folder: Path) -> None:
    for name in ("server", "client"):
        _, own = certificate(folder, f"vpn-{name}")
        (folder / f"{name}.print").write_text(_fingerprint(own))
    _openvpn(line, line.far, folder, "server", "client", "--server", "10.99.0.0", "255.255.255.0", "--dh", "none")


def _fingerprint(certificate: str) -> str:
    command = ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    return said.stdout.partition("=")[2].strip()


def _openvpn(line: Line, place: Host, folder: Path, own: str, other: str, *rest: str) -> None:
    line.serve(
        place, "openvpn", "--dev", "tun", "--proto", "udp4", "--key", str(folder / f"vpn-{own}.key"), "--cert",
        str(folder / f"vpn-{own}.crt"), "--peer-fingerprint", (folder / f"{other}.print").read_text(), *rest,
    )  # fmt: skip


def vpn(line: Line, folder: Path) -> None:
    """A tunnel from inside to a server far out, and pings and a download through it."""
    _openvpn(line, line.inside, folder, "client", "server", "--client", "--nobind", "--remote", FAR[0], "1194")
    for _ in range(50):
        if line.inside.run(["ping", "-c", "1", "-W", "1", "10.99.0.1"], check=False).returncode == 0:
            break
        time.sleep(0.1)
    line.inside.run(["ping", "-c", "20", "-i", "0.02", "-s", "1300", "10.99.0.1"])


def file_servers(line: Line, folder: Path) -> None:
    root = files(folder)
    for place in (line.inside, line.far):
        configuration = folder / f"vsftpd-{place.name}.conf"
        empty = folder / "empty"
        empty.mkdir(exist_ok=True)
        configuration.write_text(
            f"listen_ipv6=YES\nlisten=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={root}\nbackground=NO\n"
            f"secure_chroot_dir={empty}\nport_enable=YES\nconnect_from_port_20=YES\nseccomp_sandbox=NO\nrun_as_launching_user=YES\n"
        )
        line.serve(place, "vsftpd", str(configuration), port=21)


def transfers(line: Line, _folder: Path) -> None:
    """FTP, passive and active: a client inside is called back from outside."""
    for client, address in _pairs(line):
        client.run(["curl", "-sSf", "-o", "/dev/null", _url(address, "/small", "ftp")])
        client.run(["curl", "-sSf", "-P", "-", "-o", "/dev/null", _url(address, "/small", "ftp")])


def nobody(line: Line, folder: Path) -> None:
    """Nothing has to be started before."""


def traceroutes(line: Line, _folder: Path) -> None:
    for address in FAR:
        for method in ("-U", "-I", "-T"):
            line.inside.run(["traceroute", "-n", method, "-w", "1", "-m", "5", address])


def pings(line: Line, _folder: Path) -> None:
    for client, address in _pairs(line):
        client.run(["ping", "-n", "-c", "20", "-i", "0.03", address])
        client.run(["ping", "-n", "-c", "10", "-i", "0.03", "-s", "1400", address])
    for address in FAR:
        line.inside.run(["ping", "-n", "-c", "5", "-i", "0.03", "-s", "3000", address])  # in fragments, both ways


def narrow_link(line: Line, folder: Path) -> None:
    """Servers behind a link of which they don't know how narrow it is."""
    web_servers(line, folder)
    line.router.set_link("wan", mtu=1300)


def path_mtu(line: Line, _folder: Path) -> None:
    """The inside's large segments don't fit: the router says so, and the inside believes it."""
    for address in INSIDE:
        line.far.run(["curl", "-sSf", "-o", "/dev/null", _url(address, "/large")])
    for address in FAR:
        line.inside.run(["curl", "-sSf", "-o", "/dev/null", _url(address, "/small")])


def scans(line: Line, _folder: Path) -> None:
    """A scan of one's own: who is behind, and what is open there. One web server is."""
    few = ["-sU", "-p", "53,123,161", "--max-retries", "0"]
    for options in (["-sS", "-p", "1-400"], ["-6", "-sS", "-p", "1-400"], few):
        address = FAR["-6" in options]
        line.inside.run(["nmap", "-n", "-Pn", "--max-rate", "2000", *options, address], timeout=PATIENCE)


STREAMS = {
    5201: (FAR[0], ["-u", "-b", "40M", "-l", "1200", "-R"]),
    5202: (FAR[1], ["-b", "50M", "-R"]),
    5203: (FAR[1], ["-b", "50M"]),
}


def bulk_server(line: Line, _folder: Path) -> None:
    for port in STREAMS:  # a server is busy for a moment behind each test
        line.serve(line.far, "iperf3", "-s", "-p", str(port), port=port)


def bulk(line: Line, _folder: Path) -> None:
    """A stream of UDP datagrams from outside, as of a film, and one of TCP in each direction."""
    for port, (address, options) in STREAMS.items():
        line.inside.run(["iperf3", "-c", address, "-p", str(port), "-t", "1", *options], timeout=PATIENCE)
