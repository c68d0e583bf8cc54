// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A key with padding must be whole before a helper reads it. */
#include "corpus.h"

struct key { __u8 protocol; __u32 address; };
MAP(keys, HASH, 16, struct key, __u32);

SEC("xdp")
int stack_uninitialised(struct xdp_md *context)
{
	struct key key;

	GOOD(__builtin_memset(&key, 0, sizeof(key));)
	key.protocol = PROTOCOL_TCP;
	key.address = context->rx_queue_index;
	return bpf_map_lookup_elem(&keys, &key) ? XDP_DROP : XDP_PASS;
}
