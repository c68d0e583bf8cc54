// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An old value from an atomic addition picks a place: it is any number, and must be bounded. */
#include "corpus.h"

struct ring { __u64 next; __u32 places[8]; };
MAP(rings, ARRAY, 1, __u32, struct ring);

SEC("xdp")
int atomic_ticket(struct xdp_md *context)
{
	__u32 key = 0;
	struct ring *ring = bpf_map_lookup_elem(&rings, &key);
	__u64 ticket;

	if (!ring)
		return XDP_PASS;
	ticket = __sync_fetch_and_add(&ring->next, 1);
	ring->places[ticket EITHER(& 7, & 15)] = context->ingress_ifindex;
	return XDP_PASS;
}
