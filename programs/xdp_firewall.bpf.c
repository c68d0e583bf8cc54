// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A firewall that is driven by maps, in this order:
 *
 *     frame -> VLAN tags -> IP header -> sources -> fragments -> ports -> rate of the source -> pass
 *
 * Each step may end the walk; the reason is counted. Maps start empty, which lets every sound frame pass.
 */
#include "firewall.h"
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_v4);
	__type(value, struct source);
} sources_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_v6);
	__type(value, struct source);
} sources_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct port);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_source);
	__type(value, __u64); /* when the source has used up what it was given, in ns */
} rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/* What is known of a packet behind its IP header. */
struct packet {
	__be32 source[4];
	__u8 protocol;
	__u8 is_fragment;
	__u8 is_later_fragment; /* it has no TCP or UDP header of its own */
};

/* Behind all VLAN tags; `type` is what follows them, in host byte order. */
static __always_inline enum reason skip_ethernet(struct cursor *cursor, __u16 *type)
{
	struct ethernet *ethernet = cursor->position;
	struct vlan *vlan;

	if (!skip(cursor, sizeof(*ethernet)))
		return REASON_MALFORMED;
	*type = bpf_ntohs(ethernet->type);
#pragma unroll
	for (int tags = 0; tags < MAX_VLAN_TAGS; tags++) {
		if (*type != ETHERTYPE_VLAN && *type != ETHERTYPE_QINQ)
			return REASON_PASSED;
		vlan = cursor->position;
		if (!skip(cursor, sizeof(*vlan)))
			return REASON_MALFORMED;
		*type = bpf_ntohs(vlan->type);
	}
	return *type == ETHERTYPE_VLAN || *type == ETHERTYPE_QINQ ? REASON_NESTED : REASON_PASSED;
}

/* The longest prefix's word on a source: counted, and final if it is there. */
static __always_inline enum reason judge_source(struct source *source)
{
	if (!source)
		return REASON_PASSED;
	__sync_fetch_and_add(&source->packets, 1);
	return source->action == ACTION_ALLOW ? REASON_ALLOWED_SOURCE : REASON_BLOCKED_SOURCE;
}

static __always_inline enum reason read_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct ipv4 *ip = cursor->position;
	struct prefix_v4 key = {.length = 32};
	__u32 header, fragment;

	if (!skip(cursor, sizeof(*ip)))
		return REASON_MALFORMED;
	header = (ip->version_length & 0x0f) * 4;
	if (ip->version_length >> 4 != 4 || header < sizeof(*ip) || bpf_ntohs(ip->length) < header)
		return REASON_MALFORMED;
	if (!skip(cursor, header - sizeof(*ip)))
		return REASON_MALFORMED;
	fragment = bpf_ntohs(ip->fragment);
	packet->source[2] = bpf_htonl(0xffff);
	packet->source[3] = ip->source;
	packet->protocol = ip->protocol;
	packet->is_fragment = !!(fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET));
	packet->is_later_fragment = !!(fragment & IPV4_FRAGMENT_OFFSET);
	key.address = ip->source;
	return judge_source(bpf_map_lookup_elem(&sources_v4, &key));
}

/*
 * How to step over an extension header: ((length & mask) + extra) * unit bytes. A table rather than branches, so that a
 * verifier has one way through each header instead of one for each kind. Protocols with unit 0 are no extensions.
 */
static const struct {
	__u8 mask, extra, unit, reserved;
} steps[256] = {
	[PROTOCOL_HOP_BY_HOP] = {0xff, 1, 8, 0},
	[PROTOCOL_ROUTING] = {0xff, 1, 8, 0},
	[PROTOCOL_FRAGMENT] = {0, 1, 8, 0}, /* 8 bytes; where others have their length it has a reserved byte */
	[PROTOCOL_AUTHENTICATION] = {0xff, 2, 4, 0},
	[PROTOCOL_DESTINATION] = {0xff, 1, 8, 0},
	[PROTOCOL_MOBILITY] = {0xff, 1, 8, 0},
	[PROTOCOL_HOST_IDENTITY] = {0xff, 1, 8, 0},
	[PROTOCOL_SHIM6] = {0xff, 1, 8, 0},
};

/* Behind all extension headers (RFC 8200, section 4). */
static __always_inline enum reason skip_extensions(struct cursor *cursor, struct packet *packet)
{
	struct ipv6_extension *extension;
	__u32 unit, size, fragment;

#pragma unroll
	for (int headers = 0; headers < MAX_EXTENSIONS; headers++) {
		unit = steps[packet->protocol].unit;
		if (!unit)
			return REASON_PASSED;
		extension = cursor->position;
		if ((void *)(extension + 1) > cursor->end)
			return REASON_MALFORMED;
		size = ((extension->length & steps[packet->protocol].mask) + steps[packet->protocol].extra) * unit;
		size &= 0xfff; /* at most 257 * 8, which not every verifier works out */
		if (packet->protocol == PROTOCOL_FRAGMENT) {
			fragment = bpf_ntohs(extension->fragment);
			if (fragment & (IPV6_MORE_FRAGMENTS | IPV6_FRAGMENT_OFFSET))
				packet->is_fragment = 1;
			if (fragment & IPV6_FRAGMENT_OFFSET) {
				packet->is_later_fragment = 1;
				return REASON_PASSED; /* what follows is the middle of something */
			}
		}
		packet->protocol = extension->next;
		if (!skip(cursor, size))
			return REASON_MALFORMED;
	}
	return steps[packet->protocol].unit ? REASON_NESTED : REASON_PASSED;
}

static __always_inline enum reason read_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6 *ip = cursor->position;
	struct prefix_v6 key = {.length = 128};
	enum reason reason;

	if (!skip(cursor, sizeof(*ip)))
		return REASON_MALFORMED;
	if (bpf_ntohl(ip->version_class_flow) >> 28 != 6)
		return REASON_MALFORMED;
	for (int word = 0; word < 4; word++) {
		packet->source[word] = ip->source[word];
		key.address[word] = ip->source[word];
	}
	packet->protocol = ip->next;
	reason = judge_source(bpf_map_lookup_elem(&sources_v6, &key));
	return reason == REASON_PASSED ? skip_extensions(cursor, packet) : reason;
}

/*
 * The generic cell rate algorithm (ITU-T I.371): each frame costs `interval`, and a source may run ahead of the clock
 * by `burst`. Two processors that judge one source at once may let one frame too many pass, which is harmless.
 */
static __always_inline int is_too_fast(struct packet *packet, struct rate *rate)
{
	struct flow_source key = {.protocol = packet->protocol};
	__u64 now = bpf_ktime_get_ns();
	__u64 used_up = now;
	__u64 *known;

	if (!rate->interval)
		return 0;
	for (int word = 0; word < 4; word++)
		key.address[word] = packet->source[word];
	known = bpf_map_lookup_elem(&rates, &key);
	if (known) {
		if (*known > now)
			used_up = *known;
		if (used_up - now > rate->burst)
			return 1;
		*known = used_up + rate->interval;
		return 0;
	}
	used_up += rate->interval;
	bpf_map_update_elem(&rates, &key, &used_up, BPF_ANY);
	return 0;
}

/* Whether `ports` has something to say, and `action` what. */
static __always_inline int find_port(__u8 protocol, enum side side, __be16 number, __u32 *action)
{
	struct port key = {.protocol = protocol, .side = side, .number = number};
	__u32 *found = bpf_map_lookup_elem(&ports, &key);

	if (!found)
		return 0;
	*action = *found;
	return 1;
}

static __always_inline enum reason judge_ports(__u8 protocol, __be16 source, __be16 destination, int is_new,
					       struct settings *settings)
{
	__u32 action;

	if (find_port(protocol, SIDE_SOURCE, source, &action) && action == ACTION_BLOCK)
		return REASON_BLOCKED_PORT;
	if (find_port(protocol, SIDE_DESTINATION, destination, &action))
		return action == ACTION_BLOCK ? REASON_BLOCKED_PORT : REASON_PASSED;
	return is_new && settings->flags & SETTING_DROP_UNLISTED ? REASON_UNLISTED_PORT : REASON_PASSED;
}

static __always_inline enum reason judge_tcp(struct cursor *cursor, struct packet *packet, struct settings *settings)
{
	struct tcp *tcp = cursor->position;
	enum reason reason;
	int is_new;

	if (!skip(cursor, sizeof(*tcp)) || (tcp->header_length >> 4) * 4 < sizeof(*tcp))
		return REASON_MALFORMED;
	is_new = (tcp->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	reason = judge_ports(PROTOCOL_TCP, tcp->source, tcp->destination, is_new, settings);
	if (reason == REASON_PASSED && is_new && is_too_fast(packet, &settings->syn))
		return REASON_SYN_RATE;
	return reason;
}

static __always_inline enum reason judge_udp(struct cursor *cursor, struct packet *packet, struct settings *settings)
{
	struct udp *udp = cursor->position;
	enum reason reason;

	if (!skip(cursor, sizeof(*udp)))
		return REASON_MALFORMED;
	reason = judge_ports(PROTOCOL_UDP, udp->source, udp->destination, 1, settings);
	if (reason == REASON_PASSED && is_too_fast(packet, &settings->udp))
		return REASON_UDP_RATE;
	return reason;
}

static __always_inline enum reason judge(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct settings *settings_now;
	struct packet packet = {};
	enum reason reason;
	__u32 zero = 0;
	__u16 type = 0;

	reason = skip_ethernet(&cursor, &type);
	if (reason != REASON_PASSED)
		return reason;
	if (type == ETHERTYPE_IPV4)
		reason = read_ipv4(&cursor, &packet);
	else if (type == ETHERTYPE_IPV6)
		reason = read_ipv6(&cursor, &packet);
	else
		return REASON_NOT_IP;
	if (reason != REASON_PASSED)
		return reason;
	settings_now = bpf_map_lookup_elem(&settings, &zero);
	if (!settings_now)
		return REASON_PASSED;
	if (packet.is_fragment && settings_now->flags & SETTING_DROP_FRAGMENTS)
		return REASON_FRAGMENT;
	if (packet.is_later_fragment)
		return REASON_PASSED;
	if (packet.protocol == PROTOCOL_TCP)
		return judge_tcp(&cursor, &packet, settings_now);
	if (packet.protocol == PROTOCOL_UDP)
		return judge_udp(&cursor, &packet, settings_now);
	return REASON_PASSED;
}

SEC("xdp")
int xdp_firewall(struct xdp_md *context)
{
	__u32 bytes = context->data_end - context->data;
	__u32 reason = judge(context);
	struct counter *counter = bpf_map_lookup_elem(&counters, &reason);

	if (counter) {
		counter->packets += 1;
		counter->bytes += bytes;
	}
	return reason <= REASON_ALLOWED_SOURCE ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
