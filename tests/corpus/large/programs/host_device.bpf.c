/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A host's device: services from outside, translation of what comes back and of what leaves, policy of the host. */
#ifndef FAMILY
#ifndef PROGRAM
#define PROGRAM "programs/host_device.bpf.c"
#endif
#include "both.h"

#ifndef WHOLE
SEC("from-netdev") int from_device(struct context *packet)
{
	void *data = start_of(packet), *end = end_of(packet);
	struct ethernet *ethernet = data;
	int verdict = OK;

	if (data + sizeof(*ethernet) > end)
		return DROP;
	note(packet, 0, 0);
	note(packet, 1, 0);
	switch (ethernet->type) {
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = go_on(packet, 16);
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = go_on(packet, 18);
		break;
	}
	return verdict < 0 ? dropped(packet, 0, 0, verdict, 0) : verdict;
}

SEC("to-netdev") int to_device(struct context *packet)
{
	void *data = start_of(packet), *end = end_of(packet);
	struct ethernet *ethernet = data;
	int verdict = OK;

	if (data + sizeof(*ethernet) > end)
		return DROP;
	switch (ethernet->type) {
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = go_on(packet, 17);
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = go_on(packet, 19);
		break;
	}
	return verdict < 0 ? dropped(packet, 0, 0, verdict, 1) : verdict;
}
#endif
#else
#undef BALANCE
#undef TRANSLATE
#undef BACK
#if FAMILY == 4
#define BALANCE "2/16"
#define TRANSLATE "2/17"
#define BACK "2/20"
#else
#define BALANCE "2/18"
#define TRANSLATE "2/19"
#define BACK "2/21"
#endif

INLINE int F(serve)(struct context *packet, __u32 identity)
{
	struct found found = {}, back = {};
	struct F(service_key) key = {};
	struct F(tuple) tuple = {};
	struct service *service;
	struct endpoint *endpoint;
	struct F(prefix) range;
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
	__be32 address;
#else
	struct ipv6 *ip;
	union address6 address;
#endif
	__u32 show = 0, device = 0;
	int l4, state, verdict;
	__u8 before;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict == UNKNOWN ? OK : verdict;
	COPY(&key.address, &tuple.destination);
	key.protocol = tuple.protocol;
	if (tuple.protocol != PROTOCOL_TCP && tuple.protocol != PROTOCOL_UDP)
		goto out;
	if (load_bytes(packet, l4, &tuple.dport, 4) < 0)
		return INVALID;
	if (load_bytes(packet, l4 + 2, &key.port, 2) < 0)
		return INVALID;
	service = F(find_service)(&key, 0);
	if (!service)
		goto out;
	if (service->flags & 32) {
		zero(&range);
		range.bits = 32 + 8 * sizeof(address);
		range.pad = service->reverse;
		COPY(&range.address, &tuple.source);
		if (!bpf_map_lookup_elem(&F(ranges), &range))
			return DENIED;
	}
	before = tuple.protocol;
	verdict = F(balance)(packet, &tuple, ip, l4, &key, service, &found, NULL);
	if (verdict < 0)
		return verdict;
	if (before == PROTOCOL_TCP && found.direct) {
		note(packet, 2, found.reverse);
		return go_on(packet, 25);
	}
	tuple.flags = 0;
	state = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, EGRESS, &back, &show);
	if (state < 0)
		return state;
	switch (state) {
	case NEW:
		found.node_port = 1;
		found.device = packet->ingress_ifindex;
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, EGRESS, &found, 0);
		if (verdict < 0)
			return verdict;
		break;
	case REOPENED:
	case ESTABLISHED:
	case REPLY:
		break;
	default:
		return UNKNOWN;
	}
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	COPY(&address, (typeof(&address))&ip->destination);
	endpoint = F(endpoint)(&address);
	if (endpoint && !(endpoint->flags & 1)) {
		note(packet, 0, identity);
		return OK;
	}
	note(packet, 3, 1);
	return go_on(packet, FAMILY == 4 ? 17 : 19);
out:
	return go_on(packet, FAMILY == 4 ? 20 : 21);
}

#ifndef WHOLE
SEC(BALANCE) int F(serve_outside)(struct context *packet)
{
	int verdict = F(serve)(packet, noted(packet, 0));

	return verdict < 0 ? dropped(packet, 2, 0, verdict, 0) : verdict;
}
#endif

INLINE int F(masquerade)(struct context *packet)
{
	struct F(target) target = { .least = 32768, .most = 65535 };
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
#else
	struct ipv6 *ip;
#endif
	__u32 device = 0;
	int verdict;

#if FAMILY == 4
	target.address = bpf_htonl(0x0a0b0c0d);
#else
	target.address.p1 = bpf_htonl(0xfd000000);
	target.address.p4 = bpf_htonl(0x0a0b0c0d);
#endif
	verdict = F(translate)(packet, 1, &target);
	if (verdict < 0)
		return verdict;
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(hop)(packet, ip);
	if (verdict < 0)
		return verdict;
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(route)(packet, ip, &device);
	if (verdict < 0)
		return verdict;
	trace(packet, 7, 0, 0, 0, device, 0, 128);
	return bpf_redirect(device, 0);
}

#ifndef WHOLE
SEC(TRANSLATE) int F(masquerade_outside)(struct context *packet)
{
	int verdict = F(masquerade)(packet);

	return verdict < 0 ? dropped(packet, 2, 0, verdict, 1) : verdict;
}
#endif

INLINE int F(come_back)(struct context *packet)
{
	struct F(target) target = { .least = 32768, .most = 65535 };
	struct found found = {};
	struct F(tuple) tuple = {};
	struct remote *remote;
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
#else
	struct ipv6 *ip;
#endif
	__u32 show = 0, identity = 2, device = 0;
	int l4, state, verdict;

	verdict = F(translate)(packet, 0, &target);
	if (verdict < 0 && verdict != NO_MAPPING)
		return verdict;
	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict;
	state = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, INGRESS, &found, &show);
	if (state < 0)
		return state;
	if (state == REPLY && found.node_port) {
		verdict = F(undo)(packet, &tuple, l4, found.reverse, 1);
		if (verdict < 0)
			return verdict;
		if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
			return INVALID;
		verdict = F(route)(packet, ip, &device);
		if (verdict < 0)
			return verdict;
		return bpf_redirect(found.device, 0);
	}
	remote = F(remote)(&tuple.source);
	GOOD(if (remote))
	identity = remote->identity;
	verdict = allowed(packet, identity, tuple.dport, tuple.protocol, 0, 0);
	if (verdict < 0)
		return verdict;
	if (state == NEW) {
		found.identity = identity;
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, INGRESS, &found, 1);
		if (verdict < 0)
			return verdict;
	}
	trace(packet, 8, identity, 1, 0, 0, state, show);
	return OK;
}

#ifndef WHOLE
SEC(BACK) int F(come_back_outside)(struct context *packet)
{
	int verdict = F(come_back)(packet);

	return verdict < 0 ? dropped(packet, 2, 0, verdict, 0) : verdict;
}
#endif
#endif
