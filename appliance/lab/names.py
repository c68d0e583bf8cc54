"""The names of the lab's attacks, and the Ethernet address that marks each."""

from __future__ import annotations

_PLAIN = ("syn", "ntp", "dns", "memcached", "fragments", "xmas")
ATTACK_NAMES = (*_PLAIN, *(f"{name}+vlan" for name in _PLAIN))


def marker(attack: str) -> str:
    """The Ethernet source address of an attack's frames."""
    return f"02:ad:00:00:00:{ATTACK_NAMES.index(attack) + 1:02x}"
