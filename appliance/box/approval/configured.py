"""What a box's document says of trust, at work: its keeper, its trust, and where it remembers.

/var/lib/tidegate/           or systemd's StateDirectory=
  keeper.pem                 the box's own key
  accepted                   the last serial number that was accepted of each other key (floor)
  code/                      approved builds (store)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from appliance.box.approval.config import TrustConfig
from appliance.box.approval.floor import Floor
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.approval.keys import PublicKey
from appliance.box.approval.revocations import Revocations
from appliance.box.approval.store import Store
from appliance.box.approval.trust import Trust, TrustedKey

STATE_DIRECTORY = Path("/var/lib/tidegate")
KEY_FILE, FLOOR_FILE, STORE_DIRECTORY = "keeper.pem", "accepted", "code"


def state_directory() -> Path:
    """Where a box keeps what outlives it: systemd's `StateDirectory=`, or /var/lib/tidegate."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or STATE_DIRECTORY)


def start_keeper(config: TrustConfig, log: Callable[[str], None]) -> KeeperClient | None:
    """The keeper of the box's own key, None if it has none. Before there are threads, and by the main one. Raises
    KeeperRefused, KeeperGone."""
    if not config.has_own_key:
        return None
    if config.key is not None:
        return KeeperClient.start(config.key)
    if not _is_usable(state_directory()):
        log(f"{state_directory()} can't be written: the box's key ends with it, and nothing is remembered")
        return KeeperClient.start(None)
    return KeeperClient.start(state_directory() / KEY_FILE)


def trust_of(config: TrustConfig, keeper: KeeperClient | None, log: Callable[[str], None]) -> Trust:
    """Read the keys and what was revoked. Raises FileRefused, KeyRefused, InputRefused."""
    kept = config.keys and _is_usable(state_directory())
    floor = Floor(state_directory() / FLOOR_FILE if kept else None)
    trust = Trust((), mode=config.mode, floor=floor, log=log)
    renew_trust(trust, config, keeper)
    return trust


def renew_trust(trust: Trust, config: TrustConfig, keeper: KeeperClient | None) -> None:
    """Read the keys and what was revoked anew, for a reload; the mode and the box's own key stay. Raises FileRefused,
    KeyRefused, InputRefused; `trust` is then what it was."""
    keys, revoked = read_trusted(config)
    if keeper is not None:
        keys.append(TrustedKey(keeper.public, own=True))
    trust.renew(keys, revoked)


def read_trusted(config: TrustConfig) -> tuple[list[TrustedKey], Revocations]:
    """The files that the document names, but the box's own key. Raises FileRefused, KeyRefused, InputRefused."""
    keys = [TrustedKey(PublicKey.load(each.path), each.not_before, each.not_after) for each in config.keys]
    return keys, Revocations() if config.revoked is None else Revocations.load(config.revoked)


def open_store(config: TrustConfig, log: Callable[[str], None]) -> Store | None:
    """Where approved code is remembered; None where nothing is signed or nothing can be written. Raises FileRefused for
    a directory that others may use."""
    if not config.has_own_key or not _is_usable(state_directory()):
        return None
    return Store(state_directory() / STORE_DIRECTORY, log)


def _is_usable(directory: Path) -> bool:
    """Whether files can be made there; it is made if it isn't there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)
