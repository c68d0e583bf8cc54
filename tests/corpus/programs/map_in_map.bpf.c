// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A tenant's own map, found in a map of maps; both lookups may find nothing. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 16);
		__type(key, __u32);
		__type(value, __u64);
	});
} tenants SEC(".maps");

SEC("xdp")
int map_in_map(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index;
	void *tenant = bpf_map_lookup_elem(&tenants, &key);
	__u64 *value;

	GOOD(if (!tenant) return XDP_PASS;)
	value = bpf_map_lookup_elem(tenant, &key);
	return value && *value ? XDP_DROP : XDP_PASS;
}
