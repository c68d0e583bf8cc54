// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Puts an outer IPv4 header in front of the packet, and fills it in. */
#include "corpus.h"

SEC("xdp")
int ipip_encapsulator(struct xdp_md *context)
{
	struct ethernet *ethernet;
	struct ipv4 *outer;
	__u16 length = context->data_end - context->data - sizeof(*ethernet);

	OPAQUE(length);
	if (bpf_xdp_adjust_head(context, -(int)sizeof(*outer)))
		return XDP_ABORTED;
	ethernet = DATA(context);
	outer = (void *)(ethernet + 1);
	if ((void *)(outer + EITHER(1, 0)) > DATA_END(context))
		return XDP_ABORTED;
	outer->version_length = 0x45;
	outer->service = 0;
	outer->length = bpf_htons(length + sizeof(*outer));
	outer->ttl = 64;
	outer->protocol = 4;
	ethernet->type = bpf_htons(ETHERTYPE_IPV4);
	return XDP_TX;
}
