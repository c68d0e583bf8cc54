"""The rings of a packet socket, in the process that opened it and in others that have no privilege."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hooks.af_packet.geometry import Geometry
from hooks.af_packet.opening import open_sockets
from hooks.af_packet.socket import PacketSocket, RingStatistics
from hooks.errors import InterfaceError, PrivilegeError
from hooks.linux.if_packet import (
    TP_STATUS_SEND_REQUEST,
    TP_STATUS_USER,
    TPACKET2_TX_OFFSET,
    tpacket2_hdr,
    virtio_net_hdr,
)
from hooks.linux.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_NONE, map_memory, reserve_memory, unmap_memory
from hooks.sandbox.capabilities import NOBODY, Privileges, drop_privileges
from tests.child import in_child
from tests.netns import Topology

pytestmark = pytest.mark.netns

SMALL = Geometry(receive_slots=64, transmit_slots=32)
MAP_FIXED_NOREPLACE = 0x100000


def frame(number: int) -> bytes:
    return bytes.fromhex("02000000000202000000000188b5") + number.to_bytes(4, "big").ljust(46, b"\0")


def received(rings: PacketSocket, count: int, seconds: float = 5.0) -> list[bytes]:
    """The frames in the first `count` slots, once they are there."""
    end = time.monotonic() + seconds
    heads = [tpacket2_hdr.from_address(rings.receive_ring + slot * rings.geometry.slot_size) for slot in range(count)]
    while not all(head.tp_status & TP_STATUS_USER for head in heads) and time.monotonic() < end:
        time.sleep(0.002)
    return [
        ctypes.string_at(ctypes.addressof(head) + head.tp_mac, head.tp_len)
        for head in heads
        if head.tp_status & TP_STATUS_USER
    ]


def send(rings: PacketSocket, data: bytes) -> None:
    """By the first slot of the ring."""
    head = tpacket2_hdr.from_address(rings.transmit_ring)
    offload = ctypes.sizeof(virtio_net_hdr)
    start = rings.transmit_ring + TPACKET2_TX_OFFSET
    ctypes.memset(start, 0, offload)
    ctypes.memmove(start + offload, data, len(data))
    head.tp_len = offload + len(data)
    head.tp_status = TP_STATUS_SEND_REQUEST
    with socket.socket(fileno=os.dup(rings.fileno())) as kicked:
        kicked.send(b"")


def free_address(size: int) -> int:
    address = reserve_memory(size)
    unmap_memory(address, size)
    return address


def is_reserved(address: int, size: int) -> bool:
    try:
        unmap_memory(map_memory(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE), size)
    except OSError as error:
        assert error.errno == errno.EEXIST
        return True
    return False


def descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def without_privilege(net: Topology, work: Callable[[PacketSocket], object]) -> object:
    """What comes of the work with a socket that a process without privilege adopts."""
    with net.box.entered():
        opened = open_sockets("outside", SMALL, muted=True)

    def child() -> object:
        drop_privileges(account=NOBODY)
        assert Privileges.of().effective == frozenset()
        with PacketSocket.adopt(opened.descriptors, "outside", SMALL) as adopted:
            return work(adopted)

    try:
        return in_child(child)
    finally:
        opened.close()


def test_a_process_without_privilege_receives_by_what_it_is_handed(topology: Topology) -> None:
    frames = [frame(number) for number in range(3)]
    with topology.outside.packet_socket() as wire:

        def work(adopted: PacketSocket) -> object:
            wire.send(frame(99))  # while it is muted
            adopted.unmute()
            wire.send(*frames)
            got = received(adopted, 3)
            adopted.mute()
            wire.send(frame(98))
            return got, received(adopted, 4, 0.1), adopted.statistics(), adopted.statistics(), adopted.take_error()

        assert without_privilege(topology, work) == (
            frames,
            frames,
            RingStatistics(packets=3, drops=0),
            RingStatistics(packets=3, drops=0),
            0,
        )


def test_a_process_without_privilege_sends_by_what_it_is_handed(topology: Topology) -> None:
    with topology.outside.packet_socket() as wire:

        def work(adopted: PacketSocket) -> None:
            send(adopted, frame(7))
            os.write(adopted.oversize_fileno(), bytes(ctypes.sizeof(virtio_net_hdr)) + frame(8))

        without_privilege(topology, work)
        assert wire.receive(2) == [frame(7), frame(8)]


def test_two_processes_map_the_same_rings_at_the_same_address(topology: Topology) -> None:
    """One that begins later finds what the other one has, where it has it."""
    address = reserve_memory(SMALL.mapped_bytes)
    with topology.outside.packet_socket() as wire, topology.box.entered():
        opened = open_sockets("outside", SMALL)
        first, second = (os.dup(each) for each in opened.descriptors)
        try:

            def child() -> tuple[int, list[bytes]]:
                with PacketSocket.adopt(opened.descriptors, "outside", SMALL, address=address) as other:
                    return other.receive_ring, received(other, 1)

            with PacketSocket.adopt((first, second), "outside", SMALL, address=address) as rings:
                wire.send(frame(1))
                assert received(rings, 1) == [frame(1)]
                assert rings.receive_ring == address
                assert rings.transmit_ring == address + 64 * 2048
                assert in_child(child) == (address, [frame(1)])
                assert received(rings, 1) == [frame(1)]
        finally:
            opened.close()
    unmap_memory(address, SMALL.mapped_bytes)


def test_a_given_address_is_reserved_again_and_any_other_is_free(topology: Topology) -> None:
    address = reserve_memory(SMALL.mapped_bytes)
    with topology.box.entered():
        with PacketSocket("outside", SMALL, address=address) as rings:
            assert rings.receive_ring == address
            assert is_reserved(address, SMALL.mapped_bytes)
        assert is_reserved(address, SMALL.mapped_bytes)
        rings.close()
        unmap_memory(address, SMALL.mapped_bytes)
        with PacketSocket("outside", SMALL) as rings:
            assert is_reserved(rings.receive_ring, SMALL.mapped_bytes)
        assert not is_reserved(rings.receive_ring, SMALL.mapped_bytes)


def test_what_has_no_rings_is_not_adopted(topology: Topology) -> None:
    address = reserve_memory(SMALL.mapped_bytes)
    with topology.box.entered():
        plain = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).detach() for _ in range(2)]
        with pytest.raises(InterfaceError, match=r"^outside: no packet rings: Invalid argument"):
            PacketSocket.adopt((plain[0], plain[1]), "outside", SMALL, address=address)
    assert is_reserved(address, SMALL.mapped_bytes)
    for descriptor in plain:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    unmap_memory(address, SMALL.mapped_bytes)


def test_opening_says_which_capability_it_lacks(topology: Topology) -> None:
    def child() -> str:
        drop_privileges()
        with pytest.raises(PrivilegeError) as raised:
            open_sockets("outside", SMALL)
        return str(raised.value)

    with topology.box.entered():
        assert in_child(child) == "packet sockets need CAP_NET_RAW (run as root)"


def test_what_is_opened_half_is_closed(topology: Topology) -> None:
    with topology.box.entered():
        before = descriptors()
        with pytest.raises(InterfaceError, match=r"^nowhere: no packet rings: No such device"):
            open_sockets("nowhere", SMALL)
        assert descriptors() == before
