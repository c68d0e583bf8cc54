/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What leaves a container: services, connections, policy, then a neighbour on this host, a tunnel, or a route. */
#ifndef FAMILY
#define DEBUGGED
#define OWN_IDENTITY 29398
#define PROGRAM "programs/container_egress.bpf.c"
#include "both.h"


SEC("from-container")
int from_container(struct __sk_buff *packet)
{
	int verdict;

	packet->cb[0] = packet->cb[1] = packet->cb[2] = packet->cb[3] = packet->cb[4] = 0;
	packet->mark &= 0xffff00ff;
	trace(packet, 0, OWN_IDENTITY, 0, 0, 0, 0, 128);
	switch (packet->protocol) {
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = go_on(packet, 10);
		break;
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = go_on(packet, 7);
		break;
	case bpf_htons(0x0806):
		verdict = TC_ACT_OK;
		break;
	default:
		verdict = UNKNOWN;
	}
	return verdict < 0 ? dropped(packet, OWN_IDENTITY, 0, verdict, 1) : verdict;
}
#else
#undef SECTION
#if FAMILY == 4
#define SECTION "2/7"
#else
#define SECTION "2/10"
#endif

INLINE int F(deliver)(struct __sk_buff *packet, const struct endpoint *endpoint, void *ip, __u32 identity)
{
	__u64 mac = endpoint->mac, router = endpoint->node_mac;
	int failed;

	debug(packet, 50, endpoint->device, identity, 0);
	failed = F(hop)(packet, ip);
	if (failed < 0)
		return failed;
	failed = write_macs(packet, &router, &mac);
	if (failed < 0)
		return failed;
	packet->cb[0] = identity;
	packet->cb[1] = endpoint->device;
	bpf_tail_call(packet, &calls, endpoint->id);
	return MISSED_TAIL;
}

INLINE int F(leave)(struct __sk_buff *packet, __u32 *destination)
{
	struct found found = {}, fresh = {};
	struct F(service_key) key = {};
	struct F(tuple) tuple = {};
	struct service *service;
	struct endpoint *endpoint;
	struct remote *remote;
	union address6 gateway = { .p1 = 0xfd00, .p4 = 1 };
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
	__be32 address;
	int whole;
#else
	struct ipv6 *ip;
	union address6 address;
#endif
	__u32 show = 0, tunnel = 0, device = 0;
	int l4, state, verdict = 0, related = 0;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
		return INVALID;
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict;
#if FAMILY == 4
	whole = whole4(ip);
#endif
	key.protocol = tuple.protocol;
	COPY(&key.address, &tuple.destination);
	if (tuple.protocol == PROTOCOL_TCP || tuple.protocol == PROTOCOL_UDP) {
		if (load_bytes(packet, l4 + 2, &key.port, 2) < 0)
			return INVALID;
		tuple.dport = key.port;
		service = F(find_service)(&key, 1);
		if (service) {
			verdict = F(balance)(packet, &tuple, ip, l4, &key, service, &fresh, (void *)&gateway);
			if (verdict < 0)
				return verdict;
		}
	}
	tuple.protocol = tuple.protocol;
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	state = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, EGRESS, &found, &show);
	if (state < 0)
		return state;
	if (state == REPLY && found.loopback)
		goto send;
	remote = F(remote)(&tuple.destination);
	if (remote && remote->identity) {
		*destination = remote->identity;
		tunnel = remote->tunnel;
	} else {
		*destination = 2;
	}
	debug(packet, 51, *destination, MIX(&tuple.destination), 0);
	verdict = allowed(packet, *destination, tuple.dport, tuple.protocol, 1, 0);
	if (state != REPLY && state != RELATED && verdict < 0)
		return verdict;
	switch (state) {
	case REOPENED:
	case NEW:
		fresh.identity = OWN_IDENTITY;
		related = 1;
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, EGRESS, &fresh, related);
		if (verdict < 0)
			return verdict;
		break;
	case ESTABLISHED:
		break;
	case RELATED:
	case REPLY:
		if (found.node_port) {
			packet->cb[0] = OWN_IDENTITY;
			return go_on(packet, 15);
		}
		if (found.reverse) {
			verdict = F(undo)(packet, &tuple, l4, found.reverse, 0);
			if (verdict < 0)
				return verdict;
		}
		break;
	default:
		return UNKNOWN;
	}
send:
	GOOD(if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0)) return INVALID;)
	COPY(&address, (typeof(&address))&ip->destination);
	endpoint = F(endpoint)(&address);
	if (endpoint) {
		if (endpoint->flags & 1)
			goto to_host;
		return F(deliver)(packet, endpoint, ip, OWN_IDENTITY);
	}
	if (tunnel)
		return into_tunnel(packet, tunnel, OWN_IDENTITY, 4);
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(route)(packet, ip, &device);
	if (verdict >= 0) {
		if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
			return INVALID;
		verdict = F(hop)(packet, ip);
		if (verdict < 0)
			return verdict;
		trace(packet, 6, OWN_IDENTITY, *destination, 0, device, state, show);
		return bpf_redirect(device, 0);
	}
to_host:
	packet->mark |= 0xf00 | OWN_IDENTITY << 16;
	trace(packet, 2, OWN_IDENTITY, *destination, 0, 1, state, show);
	return TC_ACT_OK;
}

SEC(SECTION) int F(leave_container)(struct __sk_buff *packet)
{
	__u32 destination = 0;
	int verdict = F(leave)(packet, &destination);

	if (verdict < 0)
		return dropped(packet, OWN_IDENTITY, destination, verdict, 1);
	return verdict;
}
#endif
