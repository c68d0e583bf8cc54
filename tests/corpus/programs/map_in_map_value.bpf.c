// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The value behind a map of maps may be missing, too. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 16);
		__type(key, __u32);
		__type(value, __u64);
	});
} shards SEC(".maps");

SEC("xdp")
int map_in_map_value(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index;
	void *shard = bpf_map_lookup_elem(&shards, &key);
	__u64 *value;

	if (!shard)
		return XDP_PASS;
	value = bpf_map_lookup_elem(shard, &key);
	GOOD(if (!value) return XDP_PASS;)
	return *value ? XDP_DROP : XDP_PASS;
}
