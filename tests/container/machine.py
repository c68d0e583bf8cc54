"""What this machine must give to the build of an image: its mirror, its certificates, its pip configuration.

The Dockerfile knows nothing of the machine that builds it. Whatever that one needs to reach its sources comes from
outside, as mounts that last as long as the build:

    /etc/apt/sources.list           Debian's suites as this machine's apt knows them
    /etc/apt/apt.conf.d/90machine   its proxies, and where its certificates are
    /etc/pip.conf                   all that `pip config list` says here
    /run/machine/ca.pem             its list of certificates, for both

and each folder that the pip configuration names, under the same path.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATES_INSIDE = "/run/machine/ca.pem"
MIRROR = "http://deb.debian.org/debian"

PipConfiguration = dict[str, dict[str, str]]  # section → key → value


def mirror(suite: str) -> str:
    """Where this machine gets the Debian suite from."""
    return next((uri for uri, name in _debian_sources() if name == suite), MIRROR)


def bootstrap_options() -> list[str]:
    """What mmdebstrap must be told of this machine, because it reads none of apt's settings here."""
    return [f"--aptopt={line}" for line in _proxies()]


def build_mounts(suite: str, folder: Path) -> list[str]:
    """`--volume` options for the build of an image on `suite`; files that they need are written into `folder`."""
    configuration = _pip_configuration()
    certificates = Path(configuration.get("global", {}).get("cert", CERTIFICATES))
    mounts = {path: str(path) for path in _folders_named_by(configuration)}
    if certificates.exists():
        mounts[certificates] = CERTIFICATES_INSIDE
        configuration.setdefault("global", {})["cert"] = CERTIFICATES_INSIDE
    for name, inside, text in (
        ("pip.conf", "/etc/pip.conf", _pip_text(configuration)),
        ("apt.conf", "/etc/apt/apt.conf.d/90machine", _apt_text(certificates.exists())),
        ("sources.list", "/etc/apt/sources.list", _sources_text(suite)),
    ):
        if text:
            (folder / name).write_text(text)
            mounts[folder / name] = inside
    return [f"--volume={outside}:{inside}:ro" for outside, inside in mounts.items()]


def _run(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()


def _debian_sources() -> list[tuple[str, str]]:
    """Address and suite of Debian's own among this machine's sources."""
    columns = "$(ORIGIN) $(REPO_URI) $(CODENAME)"
    lines = dict.fromkeys(_run("apt-get", "indextargets", "--format", columns, "Identifier: Packages"))
    fields = [line.split() for line in lines]
    return [(each[1], each[2]) for each in fields if len(each) == 3 and each[0] == "Debian"]


def _sources_text(suite: str) -> str:
    suites = {suite, f"{suite}-updates", f"{suite}-security"}
    return "".join(f"deb {uri} {name} main\n" for uri, name in _debian_sources() if name in suites)


def _proxies() -> list[str]:
    """Apt's settings of the kind `Acquire::http::Proxy "http://…";`."""
    return [line for line in _run("apt-config", "dump") if line.startswith("Acquire::http") and "proxy" in line.lower()]


def _apt_text(certificates: bool) -> str:
    """The proxies that apt uses here, and the certificates that it believes."""
    lines = _proxies()
    if certificates:
        lines.append(f'Acquire::https::CAInfo "{CERTIFICATES_INSIDE}";')
    return "".join(f"{line}\n" for line in lines)


def _pip_configuration() -> PipConfiguration:
    """What `pip config list` says: lines like global.cert='/etc/…'; `:env:` is the environment, and wins."""
    lines = _run(sys.executable, "-m", "pip", "config", "list")
    found: PipConfiguration = {}
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        found.setdefault(section.replace(":env:", "global"), {})[key] = ast.literal_eval(value)
    return found


def _pip_text(configuration: PipConfiguration) -> str:
    return "".join(
        f"[{section}]\n" + "".join(f"{key} = {' '.join(value.split())}\n" for key, value in entries.items())
        for section, entries in configuration.items()
    )


def _folders_named_by(configuration: PipConfiguration) -> set[Path]:
    """What is on this machine among the values; of an index (`file:///…/simple`) the folder that has its files too."""
    words = {word for entries in configuration.values() for value in entries.values() for word in value.split()}
    indexes = {Path(urlparse(word).path).parent for word in words if word.startswith("file:")}
    plain = {Path(word) for word in words if word.startswith("/")}
    return {path for path in indexes | plain if path.exists() and path != Path("/")}
