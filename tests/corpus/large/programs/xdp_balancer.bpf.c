/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A balancer in front of the hosts: a backend by the tuple's hash, and the packet in a tunnel to it. */
#ifndef FAMILY
#define XDP
#define DEBUGGED
#define PROGRAM "programs/xdp_balancer.bpf.c"
#include "network.h"

struct outer4 {
	struct ethernet ethernet;
	struct ipv4 ip;
	struct udp udp;
} __attribute__((packed));
struct outer6 {
	struct ethernet ethernet;
	struct ipv6 ip;
} __attribute__((packed));

#include "both.h"

#define BALANCE_ONE(family, kind)                                                                               \
	case bpf_htons(kind):                                                                                          \
		verdict = balance_packet##family(packet);                                     \
		break;

SEC("xdp/balancer") int balance_packets(struct xdp_md *packet)
{
	void *data = start_of(packet), *end = end_of(packet);
	struct ethernet *ethernet = data;
	int verdict = XDP_PASS;

	if (data + sizeof(*ethernet) > end)
		return XDP_DROP;
	switch (ethernet->type) {
		BALANCE_ONE(4, ETHERTYPE_IPV4)
		BALANCE_ONE(6, ETHERTYPE_IPV6)
	}
	return verdict < 0 ? dropped(packet, 0, 0, verdict, 0) : verdict;
}
#else

/* The sum of `count` half words, folded. */
INLINE __u16 F(sum_of)(const __u16 *words, int count)
{
	__u32 sum = 0;
	int i;

#pragma unroll
	for (i = 0; i < 20; i++) {
		if (i < count)
			sum += words[i];
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

INLINE int F(wrap)(struct xdp_md *packet, const struct F(tuple) * tuple, const struct F(backend) * backend, __u16 length)
{
	void *data, *end;
#if FAMILY == 4
	struct outer4 *outer;
#else
	struct outer6 *outer;
#endif
	struct ethernet old;
	__u32 mixed = F(mixed)(tuple);

	data = start_of(packet);
	end = end_of(packet);
	if (data + sizeof(old) > end)
		return INVALID;
	__builtin_memcpy(&old, data, sizeof(old));
	if (bpf_xdp_adjust_head(packet, -(int)(sizeof(*outer) - sizeof(old))))
		return NO_ROOM;
	data = start_of(packet);
	end = end_of(packet);
	outer = data;
	if (EITHER(data + sizeof(*outer), data + sizeof(old)) > end)
		return INVALID;
	__builtin_memcpy(outer->ethernet.destination, old.source, 6);
	__builtin_memcpy(outer->ethernet.source, old.destination, 6);
	outer->ethernet.type = old.type;
#if FAMILY == 4
	outer->ip.version_length = 0x45;
	outer->ip.service = 0;
	outer->ip.length = bpf_htons(length + sizeof(outer->ip) + sizeof(outer->udp));
	outer->ip.identification = 0;
	outer->ip.fragment = 0;
	outer->ip.ttl = 64;
	outer->ip.protocol = PROTOCOL_UDP;
	outer->ip.source = bpf_htonl(0x0a000000) | (mixed & 0xffff);
	outer->ip.destination = backend->address;
	outer->ip.checksum = 0;
	outer->ip.checksum = sum_of4((void *)&outer->ip, 10);
	outer->udp.source = mixed ^ mixed >> 16;
	outer->udp.destination = bpf_htons(6080);
	outer->udp.length = bpf_htons(length + sizeof(outer->udp));
	outer->udp.checksum = 0;
#else
	outer->ip.version_class_flow = bpf_htonl(0x60000000);
	outer->ip.payload_length = bpf_htons(length);
	outer->ip.next = 41;
	outer->ip.hop_limit = 64;
	__builtin_memcpy(outer->ip.destination, &backend->address, 16);
	__builtin_memset(outer->ip.source, 0, 16);
	outer->ip.source[0] = bpf_htonl(0x01000000);
	outer->ip.source[3] = mixed;
#endif
	return XDP_TX;
}

INLINE int F(balance_packet)(struct xdp_md *packet)
{
	struct F(service_key) key = {};
	struct F(tuple) tuple = {};
	struct F(backend) * backend, chosen;
	struct found found = {};
	struct service *service;
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
#else
	struct ipv6 *ip;
#endif
	__u32 which, show = 0;
	int l4, state, verdict;
	__u16 length;
	__u8 flags = 0;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
#if FAMILY == 4
	if (ip->fragment & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))
		return FRAGMENT;
	if (ip->version_length != 0x45)
		return INVALID;
	length = bpf_ntohs(ip->length);
#else
	length = bpf_ntohs(ip->payload_length) + sizeof(*ip);
#endif
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict;
	switch (tuple.protocol) {
	case PROTOCOL_TCP:
		if (load_bytes(packet, l4 + 13, &flags, 1) < 0)
			return INVALID;
	case PROTOCOL_UDP:
		if (load_bytes(packet, l4, &tuple.dport, 4) < 0)
			return INVALID;
		break;
	default:
		return XDP_PASS;
	}
	COPY(&key.address, &tuple.destination);
	key.port = tuple.sport;
	key.protocol = tuple.protocol;
	service = F(find_service)(&key, 0);
	if (!service) {
		key.port = 0;
		service = F(find_service)(&key, 0);
		if (!service)
			return XDP_PASS;
	}
	found.reverse = service->reverse;
	state = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, SERVICE, &found, &show);
	if (state < 0)
		return state;
	which = state == NEW || flags & TCP_SYN ? 0 : found.backend;
	if (!which) {
		which = F(choose)(packet, &key, &tuple, service);
		if (!which)
			return NO_SERVICE;
		found.backend = which;
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, SERVICE, &found, 0);
		if (verdict < 0)
			return verdict;
	}
	backend = bpf_map_lookup_elem(&F(backends), &which);
	if (!backend)
		return NO_SERVICE;
	__builtin_memcpy(&chosen, backend, sizeof(chosen));
	count(length, 0, which & 0x1f);
	return F(wrap)(packet, &tuple, &chosen, length);
}
#endif
