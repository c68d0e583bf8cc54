// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes the outer headers off VXLAN frames of a known network; what is read behind the move is checked again. */
#include "corpus.h"

#define OUTER (14 + 20 + 8 + 8)
MAP(networks, HASH, 64, __u32, __u64);

SEC("xdp")
int vxlan_decapsulator(struct xdp_md *context)
{
	__u8 *data = DATA(context);
	struct udp *udp = (void *)data + 34;
	struct ethernet *inner;
	__u32 network;
	__u64 *packets;

	if ((void *)data + OUTER > DATA_END(context) || udp->destination != bpf_htons(4789))
		return XDP_PASS;
	network = data[46] << 16 | data[47] << 8 | data[48];
	packets = bpf_map_lookup_elem(&networks, &network);
	if (!packets)
		return XDP_DROP;
	if (bpf_xdp_adjust_head(context, OUTER))
		return XDP_ABORTED;
	inner = DATA(context);
	GOOD(if ((void *)(inner + 1) > DATA_END(context)) return XDP_DROP;)
	*packets += 1;
	return inner->destination[0] & 1 ? XDP_DROP : XDP_PASS;
}
