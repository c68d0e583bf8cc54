"""A namespace with routes of every kind, as commands, and addresses worth asking it for.

Interfaces 2, 3 and 4 are veths whose other ends stay in the same namespace; 4 forwards nothing.
"""

COMMANDS = """
    ip link set lo up
    ip link add name wa index 2 address 02:00:00:00:00:02 type veth peer name pa index 12
    ip link add name wb index 3 address 02:00:00:00:00:03 type veth peer name pb index 13
    ip link add name wc index 4 address 02:00:00:00:00:04 type veth peer name pc index 14
    sysctl -qw net.ipv6.conf.wa.accept_dad=0 net.ipv6.conf.wb.accept_dad=0 net.ipv6.conf.wc.accept_dad=0
    ip link set wa up
    ip link set pa up
    ip link set wb up
    ip link set pb up
    ip link set wc up mtu 1400
    ip link set pc up
    ip address add 10.0.0.1/24 dev wa
    ip address add 10.0.1.1/24 dev wb
    ip address add fd00::1/64 dev wa nodad
    ip address add fd00:0:0:1::1/64 dev wb nodad
    sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1
    sysctl -qw net.ipv4.conf.wc.forwarding=0 net.ipv6.conf.wc.forwarding=0
    ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:0a dev wa
    ip neigh add 10.0.1.2 lladdr 02:00:00:00:01:02 dev wb
    ip neigh add fd00:0:0:1::2 lladdr 02:00:00:00:01:06 dev wb
    ip route add default via 10.0.0.2 metric 50
    ip route add 10.1.0.0/16 via 10.0.1.2 metric 5
    ip route add 10.1.0.0/16 via 10.0.0.2 metric 9
    ip route add 10.1.3.0/24 via 10.0.0.2
    ip route add blackhole 10.2.0.0/16
    ip route add unreachable 10.2.1.0/24
    ip route add prohibit 10.2.2.0/24
    ip route add throw 10.2.3.0/24
    ip route add 10.3.0.0/16 via inet6 fd00:0:0:1::2 dev wb
    ip route add 10.4.0.0/16 dev wc
    ip route add 10.5.0.0/16 via 10.0.1.2 mtu lock 1300
    ip route add 10.6.0.0/16 nexthop via 10.0.1.2 weight 2 nexthop via 10.0.0.2 weight 1
    ip route add 10.7.0.0/16 via 10.0.1.2 src 10.0.0.1
    ip route add 10.100.0.0/16 via 10.0.1.2 table 100
    ip route add 10.0.0.0/8 via 10.0.0.2 table 100
    ip rule add fwmark 7 table 100
    ip rule add fwmark 0x100/0x100 to 10.100.0.0/16 blackhole
    ip rule add iif wb from 10.9.0.0/16 prohibit
    ip -6 route add default via fd00::2 metric 50
    ip -6 route add fd01::/32 via fd00:0:0:1::2 metric 5
    ip -6 route add fd01:0:3::/48 via fd00::2
    ip -6 route add blackhole fd02::/32
    ip -6 route add unreachable fd02:0:1::/48
    ip -6 route add prohibit fd02:0:2::/48
    ip -6 route add fd04::/32 dev wc
    ip -6 route add fd05::/32 via fd00:0:0:1::2 mtu 1300
    ip -6 route add fd01::/32 via fd00::2 table 100
    ip -6 rule add fwmark 7 table 100
""".strip().splitlines()

DESTINATIONS = [
    "8.8.8.8",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.7",
    "10.0.0.255",
    "10.0.1.1",
    "10.0.1.2",
    "10.1.2.3",
    "10.1.3.1",
    "10.2.0.1",
    "10.2.1.1",
    "10.2.2.1",
    "10.2.3.1",
    "10.3.0.1",
    "10.4.0.1",
    "10.5.0.1",
    "10.7.0.1",
    "10.100.0.1",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "fd00::1",
    "fd00::2",
    "fd00:0:0:1::2",
    "fd01::3",
    "fd01:0:3::1",
    "fd02::1",
    "fd02:0:1::1",
    "fd02:0:2::1",
    "fd04::1",
    "fd05::1",
    "2001:db8::1",
    "fe80::1",
    "ff02::1",
    "::1",
    "::",
]
SOURCES = ["10.9.0.1", "10.0.0.1", "0.0.0.0", "127.0.0.1", "fd00::9", "fe80::9", "ff02::9", "::1", "::"]
