"""include/uapi/linux/if_packet.h and virtio_net.h: packet sockets, their rings, and the offload header of a frame."""

from __future__ import annotations

import ctypes

SOL_PACKET = 263

PACKET_ADD_MEMBERSHIP = 1
PACKET_RX_RING = 5
PACKET_STATISTICS = 6
PACKET_COPY_THRESH = 7
PACKET_VERSION = 10
PACKET_RESERVE = 12
PACKET_TX_RING = 13
PACKET_LOSS = 14
PACKET_VNET_HDR = 15
PACKET_FANOUT = 18
PACKET_QDISC_BYPASS = 20
PACKET_FANOUT_DATA = 22
PACKET_IGNORE_OUTGOING = 23

PACKET_MR_PROMISC = 1
PACKET_FANOUT_CBPF = 6
PACKET_FANOUT_FLAG_UNIQUEID = 0x2000
PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 0x4000

TPACKET_V2 = 1
TPACKET_ALIGNMENT = 16

TP_STATUS_KERNEL = 0
TP_STATUS_USER = 1 << 0
TP_STATUS_COPY = 1 << 1
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
TP_STATUS_TS_SOFTWARE = 1 << 29

TP_STATUS_AVAILABLE = 0
TP_STATUS_SEND_REQUEST = 1 << 0
TP_STATUS_SENDING = 1 << 1
TP_STATUS_WRONG_FORMAT = 1 << 2

ETH_P_ALL = 0x0003
ETH_P_8021Q = 0x8100
ETH_P_8021AD = 0x88A8
ETH_HLEN = 14
VLAN_HLEN = 4

VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
VIRTIO_NET_HDR_GSO_NONE = 0


class tpacket2_hdr(ctypes.Structure):
    """What stands at the start of every slot of a TPACKET_V2 ring."""

    _fields_ = (
        ("tp_status", ctypes.c_uint32),
        ("tp_len", ctypes.c_uint32),
        ("tp_snaplen", ctypes.c_uint32),
        ("tp_mac", ctypes.c_uint16),
        ("tp_net", ctypes.c_uint16),
        ("tp_sec", ctypes.c_uint32),
        ("tp_nsec", ctypes.c_uint32),
        ("tp_vlan_tci", ctypes.c_uint16),
        ("tp_vlan_tpid", ctypes.c_uint16),
        ("tp_padding", ctypes.c_uint8 * 4),
    )


class sockaddr_ll(ctypes.Structure):
    """A link-layer address; in a receive slot it follows the header."""

    _fields_ = (
        ("sll_family", ctypes.c_uint16),
        ("sll_protocol", ctypes.c_uint16),
        ("sll_ifindex", ctypes.c_int32),
        ("sll_hatype", ctypes.c_uint16),
        ("sll_pkttype", ctypes.c_uint8),
        ("sll_halen", ctypes.c_uint8),
        ("sll_addr", ctypes.c_uint8 * 8),
    )


class tpacket_req(ctypes.Structure):
    """The geometry of a ring: blocks of contiguous memory, cut into equal slots."""

    _fields_ = (
        ("tp_block_size", ctypes.c_uint32),
        ("tp_block_nr", ctypes.c_uint32),
        ("tp_frame_size", ctypes.c_uint32),
        ("tp_frame_nr", ctypes.c_uint32),
    )


class tpacket_stats(ctypes.Structure):
    """Frames since the last read; reading sets both to zero. `tp_packets` includes `tp_drops`."""

    _fields_ = (("tp_packets", ctypes.c_uint32), ("tp_drops", ctypes.c_uint32))


class packet_mreq(ctypes.Structure):
    """A membership that ends with its socket: promiscuous mode here."""

    _fields_ = (
        ("mr_ifindex", ctypes.c_int32),
        ("mr_type", ctypes.c_uint16),
        ("mr_alen", ctypes.c_uint16),
        ("mr_address", ctypes.c_uint8 * 8),
    )


class virtio_net_hdr(ctypes.Structure):
    """What is still to be done to a frame: a checksum to finish, segments to cut. Host byte order, 10 bytes."""

    _fields_ = (
        ("flags", ctypes.c_uint8),
        ("gso_type", ctypes.c_uint8),
        ("hdr_len", ctypes.c_uint16),
        ("gso_size", ctypes.c_uint16),
        ("csum_start", ctypes.c_uint16),
        ("csum_offset", ctypes.c_uint16),
    )


# Where user data starts in a receive slot at the earliest, and where a frame starts in a transmit slot.
TPACKET2_HDRLEN = ctypes.sizeof(tpacket2_hdr) + ctypes.sizeof(sockaddr_ll)
TPACKET2_TX_OFFSET = ctypes.sizeof(tpacket2_hdr)
