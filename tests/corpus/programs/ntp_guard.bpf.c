// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Drops large answers to NTP's monlist: mode and request code behind UDP. */
#include "corpus.h"

SEC("xdp")
int ntp_guard(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct udp *udp;
	__u8 *ntp;

	if (!skip(&cursor, sizeof(struct ethernet) + sizeof(struct ipv4)))
		return XDP_PASS;
	udp = cursor.position;
	if (!skip(&cursor, sizeof(*udp)) || udp->source != bpf_htons(123))
		return XDP_PASS;
	ntp = cursor.position;
	if (!skip(&cursor, EITHER(4, 3)))
		return XDP_DROP;
	return (ntp[0] & 7) == 7 && ntp[3] == 42 ? XDP_DROP : XDP_PASS;
}
