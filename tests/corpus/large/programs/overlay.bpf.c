/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What comes out of a tunnel: who sent it, and to which container of this host. */
#ifndef FAMILY
#define DEBUGGED
#define PROGRAM "programs/overlay.bpf.c"
#include "both.h"

SEC("from-overlay") int from_overlay(struct __sk_buff *packet)
{
	int verdict;

	packet->cb[0] = packet->cb[1] = packet->cb[2] = packet->cb[3] = packet->cb[4] = 0;
	if ((packet->mark & 0xf00) == 0xd00) {
		packet->mark = 0;
		bpf_skb_change_type(packet, 0);
		trace(packet, 9, packet->mark >> 16, 0, 0, 0, 0, 128);
		return TC_ACT_OK;
	}
	switch (packet->protocol) {
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = go_on(packet, 10);
		break;
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = go_on(packet, 7);
		break;
	default:
		verdict = TC_ACT_OK;
	}
	return verdict < 0 ? dropped(packet, 0, 0, verdict, 0) : verdict;
}
#else
#undef SECTION
#undef POLICY
#if FAMILY == 4
#define SECTION "2/7"
#define POLICY "1/0x1010"
#else
#define SECTION "2/10"
#define POLICY "1/0x1011"
#endif

INLINE int F(admit)(struct __sk_buff *packet, __u32 identity, __u16 *proxy)
{
	struct found found = {}, fresh = {};
	struct F(tuple) tuple = {};
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
	int whole;
#else
	struct ipv6 *ip;
#endif
	__u32 show = 0, original = 0;
	int l4, state, verdict;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
		return INVALID;
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict;
#if FAMILY == 4
	whole = whole4(ip);
#endif
	state = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, INGRESS, &found, &show);
	if (state < 0)
		return state;
	if (state == REPLY && found.reverse && !found.node_port) {
		verdict = F(undo)(packet, &tuple, l4, found.reverse, 1);
		if (verdict < 0)
			return verdict;
	}
#if FAMILY == 4
	verdict = allowed(packet, identity, tuple.dport, tuple.protocol, 0, !whole);
#else
	verdict = allowed(packet, identity, tuple.dport, tuple.protocol, 0, 0);
#endif
	if (state == REPLY || state == RELATED)
		verdict = 0;
	else if (verdict < 0)
		return verdict;
	if (state == NEW || state == REOPENED) {
		fresh.identity = identity;
		fresh.node_port = !!(packet->mark & 0x10000);
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, INGRESS, &fresh, 1);
		if (verdict < 0)
			return verdict;
	}
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	if (verdict > 0) {
		*proxy = verdict;
		packet->mark = 0x200 | verdict << 16;
		bpf_skb_change_type(packet, 0);
		trace(packet, 11, identity, 0, 0, 1, state, show);
		return bpf_redirect(1, BPF_F_INGRESS);
	}
	trace(packet, 12, identity, 29398, 1010, packet->cb[1], state, show);
	if (packet->cb[1])
		return bpf_redirect(packet->cb[1], packet->cb[2] ? BPF_F_INGRESS : 0);
	return TC_ACT_OK;
}

SEC(POLICY) int F(admit_packet)(struct __sk_buff *packet)
{
	__u32 identity = packet->cb[0];
	__u16 proxy = 0;
	int verdict = F(admit)(packet, identity, &proxy);

	packet->cb[0] = 0;
	return verdict < 0 ? dropped(packet, identity, 29398, verdict, 0) : verdict;
}

INLINE int F(arrive)(struct __sk_buff *packet, __u32 *identity)
{
	struct bpf_tunnel_key key = {};
	struct endpoint *endpoint;
	struct {
		__be16 kind;
		__u8 more, length;
		__be32 value;
	} option = {};
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
	__be32 address;
#else
	struct ipv6 *ip;
	union address6 address;
#endif
	__u64 mac, router;
	int verdict;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
		return INVALID;
	if (unlikely(bpf_skb_get_tunnel_key(packet, &key, sizeof(key), 0) < 0))
		return NO_TUNNEL;
	*identity = key.tunnel_id;
	if (*identity == 1)
		return DENIED;
	if (bpf_skb_get_tunnel_opt(packet, &option, EITHER(sizeof(option), sizeof(option) + 64)) > 0 && option.kind == bpf_htons(0x14b))
		packet->mark |= bpf_ntohl(option.value) << 16;
	COPY(&address, (typeof(&address))&ip->destination);
	endpoint = F(endpoint)(&address);
	if (!endpoint)
		return TC_ACT_OK;
	if (endpoint->flags & 1) {
		packet->mark = 0xf00;
		return bpf_redirect(1, BPF_F_INGRESS);
	}
	mac = endpoint->mac;
	router = endpoint->node_mac;
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(hop)(packet, ip);
	if (verdict < 0)
		return verdict;
	verdict = write_macs(packet, &router, &mac);
	if (verdict < 0)
		return verdict;
	packet->cb[0] = *identity;
	packet->cb[1] = endpoint->device;
	bpf_tail_call(packet, &calls, endpoint->id);
	return MISSED_TAIL;
}

SEC(SECTION) int F(arrive_by_tunnel)(struct __sk_buff *packet)
{
	__u32 identity = 0;
	int verdict = F(arrive)(packet, &identity);

	return verdict < 0 ? dropped(packet, identity, 0, verdict, 0) : verdict;
}
#endif
