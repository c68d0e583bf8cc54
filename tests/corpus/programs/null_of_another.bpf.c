// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The null check of one lookup says nothing of another. */
#include "corpus.h"

MAP(counts, HASH, 4, __u32, __u64);

SEC("xdp")
int null_of_another(struct xdp_md *context)
{
	__u32 one = 1, two = 2;
	__u64 *first = bpf_map_lookup_elem(&counts, &one), *second = bpf_map_lookup_elem(&counts, &two);

	if (!EITHER(second, first))
		return XDP_PASS;
	OPAQUE(first);
	return *second ? XDP_DROP : XDP_PASS;
}
