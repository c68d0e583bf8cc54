// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A pointer must not be stored where user space can see it. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u64);

SEC("xdp")
int pointer_leak(struct xdp_md *context)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return XDP_PASS;
	*value = EITHER(context->ingress_ifindex, (__u64)(long)DATA(context));
	return XDP_PASS;
}
