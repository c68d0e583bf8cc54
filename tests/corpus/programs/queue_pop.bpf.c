// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes work from a queue into memory that is large enough. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 8);
	__uint(value_size, 16);
} jobs SEC(".maps");

SEC("xdp")
int queue_pop(struct xdp_md *context)
{
	__u64 job[EITHER(2, 1)];

	if (bpf_map_pop_elem(&jobs, job))
		return XDP_PASS;
	return job[0] ? XDP_DROP : XDP_PASS;
}
