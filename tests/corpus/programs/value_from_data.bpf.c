// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A loop whose bound comes from a map value. */
#include "corpus.h"

struct list { __u32 length; __u32 items[32]; };
MAP(lists, ARRAY, 1, __u32, struct list);

SEC("xdp")
int value_from_data(struct xdp_md *context)
{
	__u32 key = 0, length;
	struct list *list = bpf_map_lookup_elem(&lists, &key);

	if (!list)
		return XDP_PASS;
	length = list->length;
	if (length > EITHER(32, 33))
		length = EITHER(32, 33);
	for (__u32 i = 0; i < length; i++)
		if (list->items[i] == context->ingress_ifindex)
			return XDP_DROP;
	return XDP_PASS;
}
