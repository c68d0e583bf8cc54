// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* No helper may be called while a lock is held. */
#include "corpus.h"

struct bucket { struct bpf_spin_lock lock; __u32 rest; __u64 time; };
MAP(buckets, HASH, 4, __u32, struct bucket);

SEC("xdp")
int lock_and_call(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index;
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &key);
	__u64 now = bpf_ktime_get_ns();

	if (!bucket)
		return XDP_PASS;
	bpf_spin_lock(&bucket->lock);
	bucket->time = EITHER(now, bpf_ktime_get_ns());
	bpf_spin_unlock(&bucket->lock);
	return XDP_PASS;
}
