// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Goes on in the program of a protocol; the context is passed as it is. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} protocols SEC(".maps");

SEC("xdp")
int tail_call_chain(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);

	if ((void *)(ip + 1) > DATA_END(context))
		return XDP_PASS;
	bpf_tail_call(EITHER(context, (void *)ip), &protocols, ip->protocol);
	return XDP_DROP;
}
