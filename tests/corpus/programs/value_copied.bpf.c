// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A value on the stack is put into a map: as large as the map wants it. */
#include "corpus.h"

struct flow { __u64 packets, bytes; };
MAP(flows, LRU_HASH, 64, __u32, struct flow);

SEC("xdp")
int value_copied(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index;
	struct flow flow;

	flow.packets = 1;
	GOOD(flow.bytes = context->data_end - context->data;)
	bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
	return XDP_PASS;
}
