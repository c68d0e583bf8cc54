// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A compare-and-exchange must work on 8 aligned bytes inside of the value. */
#include "corpus.h"

struct slot { __u32 owner; __u32 rest; __u64 lock; };
MAP(slots, ARRAY, 1, __u32, struct slot);

SEC("xdp")
int atomic_exchange(struct xdp_md *context)
{
	__u32 key = 0;
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	if (__sync_val_compare_and_swap(&(EITHER(slot, slot + 1))->lock, 0, 1))
		return XDP_DROP;
	slot->owner = context->ingress_ifindex;
	slot->lock = 0;
	return XDP_PASS;
}
