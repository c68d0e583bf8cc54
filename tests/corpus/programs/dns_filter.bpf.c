// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Drops DNS questions for names with a label longer than 32 bytes: walks over the labels. */
#include "corpus.h"

#define LABELS 8

SEC("xdp")
int dns_filter(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct udp *udp;

	if (!skip(&cursor, sizeof(struct ethernet) + sizeof(struct ipv4)))
		return XDP_PASS;
	udp = cursor.position;
	if (!skip(&cursor, sizeof(*udp)) || udp->destination != bpf_htons(53) || !skip(&cursor, 12))
		return XDP_PASS;
	for (int i = 0; i < LABELS; i++) {
		__u8 *label = cursor.position;

		GOOD(if (!skip(&cursor, 1)) return XDP_DROP;)
		if (!*label)
			return XDP_PASS;
		if (*label > 32 || !skip(&cursor, *label))
			return XDP_DROP;
	}
	return XDP_DROP;
}
