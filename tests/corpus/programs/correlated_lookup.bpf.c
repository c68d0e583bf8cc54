// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two lookups, one of them behind a flag; the flag is asked again before the value is used. */
#include "corpus.h"

MAP(first, HASH, 16, __u32, __u64);
MAP(second, HASH, 16, __u32, __u64);

SEC("xdp")
int correlated_lookup(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index, wanted = context->ingress_ifindex & 1;
	__u64 *one = 0, *two;

	two = bpf_map_lookup_elem(&second, &key);
	if (!two)
		return XDP_PASS;
	if (wanted)
		one = bpf_map_lookup_elem(&first, &key);
	if (EITHER(wanted && one, wanted))
		return *one + *two ? XDP_DROP : XDP_PASS;
	return XDP_PASS;
}
