"""Ports by the name of the service: what a rule set may write for a number, whatever the transport.

The names are those of the IANA registry "Service Name and Transport Protocol Port Number", and the aliases that
/etc/services has for some of them (`dns` and `rdp` are neither, but what everybody says).
"""

from __future__ import annotations

_TABLE = """
tcpmux 1, echo 7, discard 9, systat 11, daytime 13, qotd 17, chargen 19, ftp-data 20, ftp 21, ssh 22, telnet 23,
smtp 25, time 37, whois 43, nicname 43, tacacs 49, domain 53, dns 53, bootps 67, dhcp-server 67, bootpc 68,
dhcp-client 68, tftp 69, gopher 70, finger 79, http 80, www 80, kerberos 88, iso-tsap 102, pop3 110, sunrpc 111,
portmapper 111, auth 113, ident 113, nntp 119, ntp 123, epmap 135, netbios-ns 137, netbios-dgm 138, netbios-ssn 139,
imap 143, imap2 143, snmp 161, snmptrap 162, snmp-trap 162, xdmcp 177, bgp 179, ptp-event 319, ptp-general 320,
ldap 389, svrloc 427, https 443, microsoft-ds 445, kpasswd 464, submissions 465, isakmp 500, exec 512, login 513,
who 513, shell 514, syslog 514, printer 515, talk 517, ntalk 518, rip 520, route 520, ripng 521, dhcpv6-client 546,
dhcpv6-server 547, rtsp 554, nntps 563, submission 587, asf-rmcp 623, ipmi 623, ipp 631, ldaps 636, ldp 646,
domain-s 853, dot 853, rsync 873, ftps-data 989, ftps 990, telnets 992, imaps 993, pop3s 995, socks 1080, openvpn 1194,
ms-sql-s 1433, ms-sql-m 1434, l2tp 1701, l2f 1701, pptp 1723, radius 1812, radius-acct 1813, ssdp 1900, mqtt 1883,
nfs 2049, gtp-control 2123, gtp-user 2152, icpv2 3130, iscsi-target 3260, mysql 3306, net-assistant 3283,
ms-wbt-server 3389, rdp 3389, stun 3478, stuns 5349, ws-discovery 3702, bfd-control 3784, bfd-echo 3785, vxlan 4789,
ntske 4460, ipsec-nat-t 4500, iax 4569, sip 5060, sip-tls 5061, sips 5061, xmpp-client 5222, xmpp-server 5269,
mdns 5353, llmnr 5355, postgresql 5432, nrpe 5666, amqps 5671, amqp 5672, coap 5683, coaps 5684, vnc 5900, x11 6000,
geneve 6081, redis 6379, syslog-tls 6514, sflow 6343, babel 6696, ircs-u 6697, ircd 6667, http-alt 8080, puppet 8140,
secure-mqtt 8883, bacula-dir 9101, bacula-fd 9102, bacula-sd 9103, git 9418, zabbix-agent 10050, zabbix-trapper 10051,
memcache 11211, memcached 11211, db-lsp 17500, traceroute 33434
"""


def _read(table: str) -> dict[str, int]:
    """Name by name; one that stands twice is a mistake of the table."""
    services: dict[str, int] = {}
    for entry in table.replace("\n", " ").split(","):
        name, port = entry.split()
        assert name not in services, name
        services[name] = int(port)
    return services


SERVICES = _read(_TABLE)
