"""A card's features (offloads), by the kernel's own names: `rx-gro`, `rx-lro`, `tx-tcp-segmentation`…

Of each feature the kernel keeps two bits that matter here: what was asked for, and what is in effect. They differ
while something forbids the feature, so whoever wants to restore a card must remember what was *asked for*.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from hooks.errors import InterfaceError, PrivilegeError
from hooks.linux import ethtool as uapi
from hooks.linux.if_link import ifreq


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of one interface."""

    active: bool
    requested: bool
    changeable: bool


def read_features(interface: str) -> dict[str, Feature]:
    """Every feature the kernel knows, with its state at `interface`. Raises InterfaceError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        names = _feature_names(asked, interface)
        blocks = _get_blocks(asked, interface, (len(names) + 31) // 32)
    features = {}
    for number, name in enumerate(names):
        block, bit = blocks[number // 32], 1 << number % 32
        if name:
            features[name] = Feature(
                active=bool(block.active & bit),
                requested=bool(block.requested & bit),
                changeable=bool(block.available & bit) and not block.never_changed & bit,
            )
    return features


def set_features(interface: str, wanted: Mapping[str, bool]) -> None:
    """Switch features on and off. Raises InterfaceError if the card refuses, KeyError for a name nobody knows."""
    if not wanted:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        names = _feature_names(asked, interface)
        count = (len(names) + 31) // 32
        request = _with_blocks(uapi.ethtool_set_features_block, count)(uapi.ETHTOOL_SFEATURES, count)
        numbers = {name: number for number, name in enumerate(names)}
        for name, on in wanted.items():
            block, bit = request.blocks[numbers[name] // 32], 1 << numbers[name] % 32
            block.valid |= bit
            block.requested |= bit if on else 0
        answer = _ioctl(asked, interface, request)
    if answer & uapi.ETHTOOL_F_UNSUPPORTED:
        changes = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in wanted.items())
        raise InterfaceError(
            f"the card can't be set to {changes}", where=interface, hint=f"see `ethtool -k {interface}`"
        )


def _feature_names(asked: socket.socket, interface: str) -> list[str]:
    """The features' names in the order of their bits; unused bits have the name ''."""
    info = uapi.ethtool_sset_info(uapi.ETHTOOL_GSSET_INFO, 0, 1 << uapi.ETH_SS_FEATURES)
    _ioctl(asked, interface, info)
    count = info.data[0]

    class Strings(ctypes.Structure):
        _fields_ = (
            ("head", uapi.ethtool_gstrings),
            ("strings", (ctypes.c_char * uapi.ETH_GSTRING_LEN) * count),
        )

    strings = Strings(uapi.ethtool_gstrings(uapi.ETHTOOL_GSTRINGS, uapi.ETH_SS_FEATURES, count))
    _ioctl(asked, interface, strings)
    return [text.value.decode() for text in strings.strings]


def _get_blocks(asked: socket.socket, interface: str, count: int) -> list[uapi.ethtool_get_features_block]:
    request = _with_blocks(uapi.ethtool_get_features_block, count)(uapi.ETHTOOL_GFEATURES, count)
    _ioctl(asked, interface, request)
    return list(request.blocks)


def _with_blocks(block: type[ctypes.Structure], count: int) -> type[ctypes.Structure]:
    """`struct ethtool_gfeatures` or `ethtool_sfeatures` with its flexible array made `count` long."""
    return type("features", (uapi.ethtool_features,), {"_fields_": (("blocks", block * count),)})


def _ioctl(asked: socket.socket, interface: str, request: ctypes.Structure) -> int:
    question = ifreq(interface.encode()[:15])
    question.ifr_data = ctypes.addressof(request)
    try:
        return int(fcntl.ioctl(asked, uapi.SIOCETHTOOL, question))
    except OSError as error:
        if error.errno == errno.EPERM:
            raise PrivilegeError("offloads can't be changed", where=interface, hint="needs CAP_NET_ADMIN") from None
        if error.errno == errno.ENODEV:
            raise InterfaceError("no such interface", where=interface) from None
        raise InterfaceError(f"ethtool: {os.strerror(error.errno or 0)}", where=interface) from None
