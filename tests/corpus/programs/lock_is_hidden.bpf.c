// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The lock itself is no memory of the program's. */
#include "corpus.h"

struct bucket { __u64 count; struct bpf_spin_lock lock; __u32 rest; };
MAP(buckets, ARRAY, 1, __u32, struct bucket);

SEC("xdp")
int lock_is_hidden(struct xdp_md *context)
{
	__u32 key = 0;
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &key);

	if (!bucket)
		return XDP_PASS;
	return EITHER(bucket->rest, bucket->lock.val) ? XDP_DROP : XDP_PASS;
}
