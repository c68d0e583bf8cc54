// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A token bucket per source: time, a division, and a value behind a null check. */
#include "corpus.h"

struct bucket { __u64 time, tokens; };
MAP(buckets, LRU_HASH, 1024, __be32, struct bucket);

SEC("xdp")
int token_bucket(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);
	struct bucket *bucket, fresh = {bpf_ktime_get_ns(), 10};
	__be32 source;
	__u64 tokens;

	if ((void *)(ip + 1) > DATA_END(context))
		return XDP_PASS;
	source = ip->source;
	bucket = bpf_map_lookup_elem(&buckets, &source);
	if (!bucket) {
		bpf_map_update_elem(&buckets, &source, &fresh, BPF_NOEXIST);
		GOOD(return XDP_PASS;)
	}
	tokens = bucket->tokens + (fresh.time - bucket->time) / 1000000;
	if (tokens > 100)
		tokens = 100;
	bucket->time = fresh.time;
	bucket->tokens = tokens ? tokens - 1 : 0;
	return tokens ? XDP_PASS : XDP_DROP;
}
