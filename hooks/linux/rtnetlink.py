"""linux/{netlink,rtnetlink,neighbour,fib_rules,pkt_sched,pkt_cls}.h: filters at interfaces, routes and notices."""

from __future__ import annotations

import ctypes

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300

NLMSG_ERROR = 0x2
NLMSG_DONE = 0x3

RTM_NEWQDISC = 36
RTM_DELQDISC = 37
RTM_NEWTFILTER = 44
RTM_DELTFILTER = 45
RTM_GETTFILTER = 46

RTNLGRP_LINK = 1
RTNLGRP_NEIGH = 3
RTNLGRP_IPV4_IFADDR = 5
RTNLGRP_IPV4_ROUTE = 7
RTNLGRP_IPV4_RULE = 8
RTNLGRP_IPV6_IFADDR = 9
RTNLGRP_IPV6_ROUTE = 11
RTNLGRP_IPV6_RULE = 19
RTNLGRP_IPV4_NETCONF = 24
RTNLGRP_IPV6_NETCONF = 25

RT_TABLE_DEFAULT = 253
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255
FR_ACT_TO_TBL = 1
NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80  # reachable, stale, delay, probe, noarp, permanent
RTNH_F_DEAD = 1
RTM_F_CLONED = 0x200
RTAX_MTU = 2

TC_H_CLSACT = 0xFFFFFFF1
TC_H_CLSACT_HANDLE = 0xFFFF0000
TC_H_MIN_INGRESS = 0xFFF2
TC_H_MIN_EGRESS = 0xFFF3

TCA_KIND = 1
TCA_OPTIONS = 2
TCA_CHAIN = 11

TCA_BPF_OPS_LEN = 4
TCA_BPF_OPS = 5
TCA_BPF_NAME = 7
TCA_BPF_FLAGS = 8
TCA_BPF_FLAG_ACT_DIRECT = 1 << 0

TC_ACT_OK = 0
TC_ACT_SHOT = 2


class nlmsghdr(ctypes.Structure):
    """The head of every netlink message; `nlmsg_len` counts it too."""

    _fields_ = (
        ("nlmsg_len", ctypes.c_uint32),
        ("nlmsg_type", ctypes.c_uint16),
        ("nlmsg_flags", ctypes.c_uint16),
        ("nlmsg_seq", ctypes.c_uint32),
        ("nlmsg_pid", ctypes.c_uint32),
    )


class nlmsgerr(ctypes.Structure):
    """The answer to a request: 0 or -errno, and the request's head."""

    _fields_ = (("error", ctypes.c_int32), ("msg", nlmsghdr))


class tcmsg(ctypes.Structure):
    """Which queueing discipline or filter of which interface. `tcm_info`: priority << 16 | protocol (big-endian)."""

    _fields_ = (
        ("tcm_family", ctypes.c_uint8),
        ("tcm_pad1", ctypes.c_uint8),
        ("tcm_pad2", ctypes.c_uint16),
        ("tcm_ifindex", ctypes.c_int32),
        ("tcm_handle", ctypes.c_uint32),
        ("tcm_parent", ctypes.c_uint32),
        ("tcm_info", ctypes.c_uint32),
    )
