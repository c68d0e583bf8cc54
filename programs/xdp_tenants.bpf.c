// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Every VLAN is a tenant, and every tenant has a list of its own of IPv4 sources that it doesn't want to hear from.
 *
 *     tenants   VLAN 0 (untagged) ──> untagged   source ──> packets dropped
 *               VLAN 7            ──> a list that whoever runs this puts in, exchanges or takes out at any time
 *
 * Frames of a tenant without a list pass, and so does everything that isn't IPv4.
 */
#include "packet.h"

#define VLAN_ID 0x0fff

struct blocked {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, __u64);
};

struct blocked untagged SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct blocked);
} tenants SEC(".maps") = { .values = { [0] = &untagged } };

SEC("xdp")
int xdp_tenants(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	__u32 tenant = 0;
	__be32 source;
	__u64 *packets;
	void *blocked;

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_PASS;
	__be16 type = ethernet->type;

	if (type == bpf_htons(ETHERTYPE_VLAN)) {
		struct vlan *vlan = cursor.position;

		if (!skip(&cursor, sizeof(*vlan)))
			return XDP_PASS;
		tenant = bpf_ntohs(vlan->tag) & VLAN_ID;
		type = vlan->type;
	}
	struct ipv4 *ip = cursor.position;

	if (type != bpf_htons(ETHERTYPE_IPV4) || !skip(&cursor, sizeof(*ip)))
		return XDP_PASS;
	blocked = bpf_map_lookup_elem(&tenants, &tenant);
	if (!blocked)
		return XDP_PASS;
	source = ip->source;
	packets = bpf_map_lookup_elem(blocked, &source);
	if (!packets)
		return XDP_PASS;
	__sync_fetch_and_add(packets, 1);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
