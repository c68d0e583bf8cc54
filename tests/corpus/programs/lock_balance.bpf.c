// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A spin lock is given back on every path. */
#include "corpus.h"

struct bucket { struct bpf_spin_lock lock; __u32 tokens; };
MAP(buckets, ARRAY, 4, __u32, struct bucket);

SEC("xdp")
int lock_balance(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index, verdict = XDP_DROP;
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &key);

	if (!bucket)
		return XDP_PASS;
	bpf_spin_lock(&bucket->lock);
	if (bucket->tokens) {
		bucket->tokens--;
		verdict = XDP_PASS;
	}
	GOOD(bpf_spin_unlock(&bucket->lock);)
	return verdict;
}
