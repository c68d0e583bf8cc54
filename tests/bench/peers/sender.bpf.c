// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Send frames by the interface TARGET of the namespace that runs this (BPF_PROG_TEST_RUN with live frames), each with
 * the next addresses and ports of a list: what a card's driver gives to the one at the far end of a veth.
 * Compiled with TARGET, an interface's index, and FLOWS, a power of two.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FLOW_AT (14 + 8) /* from the TTL on in IPv4's header, behind Ethernet's */

struct flow { __u32 ttl_protocol_checksum, source, destination, ports; }; /* as on the wire */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

__u32 next; /* one processor sends */

SEC("xdp") int sender(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 number = next++ & (FLOWS - 1);
	struct flow *flow = bpf_map_lookup_elem(&flows, &number), *place = data + FLOW_AT;

	if (!flow || (void *)(place + 1) > end)
		return XDP_ABORTED;
	*place = *flow;
	return bpf_redirect(TARGET, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
