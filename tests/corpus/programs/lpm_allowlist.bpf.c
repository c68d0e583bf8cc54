// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Asks a trie for the longest prefix of a source address. */
#include "corpus.h"

struct prefix { __u32 length; __be32 address; };
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} allowed SEC(".maps");

SEC("xdp")
int lpm_allowlist(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);
	struct prefix prefix = {32, 0};

	GOOD(if ((void *)(ip + 1) > DATA_END(context)) return XDP_PASS;)
	prefix.address = ip->source;
	return bpf_map_lookup_elem(&allowed, &prefix) ? XDP_PASS : XDP_DROP;
}
