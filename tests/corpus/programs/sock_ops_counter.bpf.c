// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Counts the moments that the kernel tells of connections, at an index from the context. */
#include "corpus.h"

MAP(moments, ARRAY, 1, __u32, __u64[16]);

SEC("sockops")
int sock_ops_counter(struct bpf_sock_ops *context)
{
	__u32 key = 0, op = context->op;
	__u64 *counts = bpf_map_lookup_elem(&moments, &key);

	if (!counts || op >= EITHER(16, 17))
		return 0;
	counts[op]++;
	return 1;
}
