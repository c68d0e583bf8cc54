"""include/uapi/linux/ethtool.h and sockios.h: what a network card can be told to do or not to do for the host.

Feature names come from the kernel (netdev_features_strings, net/ethtool/common.c), in an order of its own; bit n of a
feature mask is bit n % 32 of block n / 32.
"""

from __future__ import annotations

import ctypes

SIOCETHTOOL = 0x8946

ETHTOOL_GSTRINGS = 0x1B
ETHTOOL_GSSET_INFO = 0x37
ETHTOOL_GFEATURES = 0x3A
ETHTOOL_SFEATURES = 0x3B

ETH_SS_FEATURES = 4
ETH_GSTRING_LEN = 32

# What ETHTOOL_SFEATURES answers when it did not do all that it was asked.
ETHTOOL_F_UNSUPPORTED = 1 << 0
ETHTOOL_F_WISH = 1 << 1


class ethtool_sset_info(ctypes.Structure):
    """How many strings a set has; here with room for one set."""

    _fields_ = (
        ("cmd", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("sset_mask", ctypes.c_uint64),
        ("data", ctypes.c_uint32 * 1),
    )


class ethtool_gstrings(ctypes.Structure):
    """The head of a set of strings; `len` strings of ETH_GSTRING_LEN bytes follow."""

    _fields_ = (("cmd", ctypes.c_uint32), ("string_set", ctypes.c_uint32), ("len", ctypes.c_uint32))


class ethtool_get_features_block(ctypes.Structure):
    """32 features: can be changed, wanted, in effect, and can never be changed."""

    _fields_ = (
        ("available", ctypes.c_uint32),
        ("requested", ctypes.c_uint32),
        ("active", ctypes.c_uint32),
        ("never_changed", ctypes.c_uint32),
    )


class ethtool_set_features_block(ctypes.Structure):
    """32 features: which to change, and to what."""

    _fields_ = (("valid", ctypes.c_uint32), ("requested", ctypes.c_uint32))


class ethtool_features(ctypes.Structure):
    """The head of ETHTOOL_GFEATURES and ETHTOOL_SFEATURES; `size` blocks follow."""

    _fields_ = (("cmd", ctypes.c_uint32), ("size", ctypes.c_uint32))
