// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two values of one map, in a walk inside of a walk: who locks the one must unlock the one. */
#include "corpus.h"

struct bucket { struct bpf_spin_lock lock; __u32 rest; __u64 time; };
MAP(buckets, HASH, 4, __u32, struct bucket);

static long inner(void *map, __u32 *key, struct bucket *bucket, struct bucket **around)
{
	struct bucket *outer = *around;

	bpf_spin_lock(&outer->lock);
	outer->time += 1;
	bpf_spin_unlock(EITHER(&outer->lock, &bucket->lock));
	return 0;
}

static long outer(void *map, __u32 *key, struct bucket *bucket, void *unused)
{
	bpf_for_each_map_elem(&buckets, inner, &bucket, 0);
	return 0;
}

SEC("xdp")
int lock_of_another(struct xdp_md *context)
{
	bpf_for_each_map_elem(&buckets, outer, 0, 0);
	return XDP_PASS;
}
