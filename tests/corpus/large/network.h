/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the datapath of a network of containers is made of, for tc and (with XDP defined) for XDP: packets that are
 * read and written by helpers or by hand, maps as iproute2 declares them, events, and counters.
 */
#ifndef TIDEGATE_NETWORK_H
#define TIDEGATE_NETWORK_H

#include <linux/pkt_cls.h>

#include "corpus.h"

#define INLINE static __always_inline __attribute__((unused))
#define ETHERNET 14
#define PROTOCOL_ICMP 1
#define PROTOCOL_ICMP6 58
#define PROTOCOL_NONE 59
#define TCP_FIN 0x01
#define TCP_RST 0x04

enum { INVALID = -130, UNKNOWN = -131, NO_CONNECTION = -132, NO_SERVICE = -133, DENIED = -134, WRITE = -135,
       CHECKSUM = -136, NO_MAPPING = -137, MISSED_TAIL = -138, FRAGMENT = -139, NO_TUNNEL = -140, NO_ROUTE = -141,
       NO_ROOM = -142, FULL = -143, TTL = -144 };

/* As iproute2 has it: 36 bytes. */
struct bpf_elf_map {
	__u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx;
};

#define OLD_MAP(name, kind, key, value, entries)                                                                       \
	struct bpf_elf_map SEC("maps") name = { BPF_MAP_TYPE_##kind, key, value, entries, 0, 0, 2, 0, 0 }

OLD_MAP(calls, PROG_ARRAY, 4, 4, 32);
OLD_MAP(events, PERF_EVENT_ARRAY, 4, 4, 128);

struct counter_key {
	__u8 reason, direction;
	__u16 pad[3];
};
struct counter {
	__u64 packets, bytes;
};
struct bpf_elf_map SEC("maps") counters = {
	.type = BPF_MAP_TYPE_PERCPU_HASH, .size_key = sizeof(struct counter_key), .size_value = sizeof(struct counter),
	.max_elem = 1024, .pinning = 2,
};

#define barrier() asm volatile("" ::: "memory")
#define zero(to) __builtin_memset(to, 0, sizeof(*(to)))
#define lesser(a, b) ((a) < (b) ? (a) : (b))
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* A little of work that no compiler takes out, which gives a verifier that compares states a place to do so. */
INLINE void rest(void)
{
	volatile int ignored = 0;

	asm volatile("%0 = 0" : "=r"(ignored));
}

#ifdef XDP

#define context xdp_md
#define OK XDP_PASS
#define DROP XDP_DROP
#define REDIRECT XDP_REDIRECT
#define MOST_OFFSET 0x1ff

/* Whether bytes are inside, as a number, while the compiler does not see where that comes from. */
INLINE void *inside(struct xdp_md *packet, __u64 offset, __u32 size, int *outside)
{
	void *at;

	offset &= MOST_OFFSET;
	asm volatile("%[at] = *(u32 *)(%[packet] + 0)\n"
		     "r4 = *(u32 *)(%[packet] + 4)\n"
		     "%[at] += %[offset]\n"
		     "r5 = %[at]\n"
		     "r5 += %[size]\n"
		     "%[outside] = 1\n"
		     "if r5 > r4 goto +1\n"
		     "%[outside] = 0\n"
		     : [at] "=&r"(at), [outside] "=&r"(*outside)
		     : [packet] "r"(packet), [offset] "r"(offset), [size] "i"(size)
		     : "r4", "r5");
	return at;
}

#define load_bytes(packet, offset, to, size)                                                                           \
	({                                                                                                             \
		int _outside;                                                                                          \
		void *_from = inside(packet, offset, size, &_outside);                                                 \
		if (!_outside)                                                                                         \
			__builtin_memcpy(to, _from, size);                                                             \
		_outside ? -14 : 0;                                                                                    \
	})
#define store_bytes(packet, offset, from, size)                                                                        \
	({                                                                                                             \
		int _outside;                                                                                          \
		void *_to = inside(packet, offset, size, &_outside);                                                   \
		if (!_outside)                                                                                         \
			__builtin_memcpy(_to, from, size);                                                             \
		_outside ? -14 : 0;                                                                                    \
	})

INLINE __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}
INLINE int replace_sum(struct xdp_md *packet, __u32 offset, __u32 from, __u32 to, int pseudo)
{
	int outside;
	__u16 *sum = inside(packet, offset, 2, &outside);

	if (outside)
		return INVALID;
	if (!from)
		*sum = folded((__u16)~*sum + to);
	else
		*sum = folded((__u16)~*sum + (__u16)~from + (__u16)~(from >> 16) + (to & 0xffff) + (to >> 16));
	return 0;
}
#define replace_l3(packet, offset, from, to) replace_sum(packet, offset, from, to, 0)
#define replace_l4(packet, offset, from, to, flags) replace_sum(packet, offset, from, to, 1)
#define pull(packet, size) 0
#define length_of(packet) ((__u64)((long)(packet)->data_end - (long)(packet)->data))
#define grow(packet, size) bpf_xdp_adjust_head(packet, -(int)(size))
#define hash_of(packet) 0

/* What a packet takes with it from program to program, in front of it. */
struct notes {
	__u32 notes[8];
};
OLD_MAP(notebook, PERCPU_ARRAY, 4, sizeof(struct notes), 1);

INLINE void note(struct xdp_md *packet, int which, __u32 value)
{
	int at = 0;
	struct notes *notes = bpf_map_lookup_elem(&notebook, &at);

	if (notes)
		notes->notes[which] = value;
}
INLINE __u32 noted(struct xdp_md *packet, int which)
{
	int at = 0;
	struct notes *notes = bpf_map_lookup_elem(&notebook, &at);

	return notes ? notes->notes[which] : 0;
}

#else

#define context __sk_buff
#define OK TC_ACT_OK
#define DROP TC_ACT_SHOT
#define REDIRECT TC_ACT_REDIRECT

#define load_bytes(packet, offset, to, size) bpf_skb_load_bytes(packet, offset, to, size)
#define store_bytes(packet, offset, from, size) bpf_skb_store_bytes(packet, offset, from, size, 0)
#define replace_l3(packet, offset, from, to) bpf_l3_csum_replace(packet, offset, from, to, (from) ? 4 : 0)
#define replace_l4(packet, offset, from, to, flags) bpf_l4_csum_replace(packet, offset, from, to, flags)
#define pull(packet, size) bpf_skb_pull_data(packet, size)
#define length_of(packet) ((__u64)(packet)->len)
#define grow(packet, size) bpf_skb_adjust_room(packet, size, BPF_ADJ_ROOM_MAC, 0)
#define hash_of(packet) bpf_get_hash_recalc(packet)
#define note(packet, which, value) ((packet)->cb[which] = (value))
#define noted(packet, which) (*(volatile __u32 *)&(packet)->cb[which])

#endif

/* The pointers of a packet, anew; clang shall not think that it knows them. */
INLINE void *start_of(struct context *packet)
{
	void *at = (void *)(long)*(volatile __u32 *)&packet->data;

	return at;
}
INLINE void *end_of(struct context *packet)
{
	void *at = (void *)(long)*(volatile __u32 *)&packet->data_end;

	return at;
}

/* Header `to` of `size` bytes behind Ethernet, pulled if it is not there; false for a packet that has none. */
INLINE int revalidate(struct context *packet, void **data, void **end, void **to, __u32 size, int pulls)
{
	if (pulls)
		(void)pull(packet, ETHERNET + size);
	*end = end_of(packet);
	*data = start_of(packet);
	if (*data + ETHERNET + size > *end)
		return 0;
	*to = *data + ETHERNET;
	return 1;
}

struct heading {
	__u8 kind, subkind;
	__u16 source;
	__u32 hash;
};
struct debug_event {
	struct heading heading;
	__u32 values[3];
};
struct capture_event {
	struct heading heading;
	__u32 length, captured;
	__u32 source, destination;
	__u16 endpoint;
	__u8 reason, flags;
	__u32 device;
};

#define emit(packet, flags, event) bpf_perf_event_output(packet, &events, flags, event, sizeof(*(event)))

INLINE void debug(struct context *packet, __u8 kind, __u32 a, __u32 b, __u32 c)
{
#ifdef DEBUGGED
	struct debug_event event = {
		.heading = { 2, kind, 17, hash_of(packet) },
		.values = { a, b, c },
	};

	emit(packet, BPF_F_CURRENT_CPU, &event);
#endif
}

INLINE void count(__u64 bytes, __u8 direction, __u8 reason)
{
	struct counter_key key = { .reason = reason, .direction = direction };
	struct counter *counter = bpf_map_lookup_elem(&counters, &key), first = {};

	if (counter) {
		counter->packets += 1;
		counter->bytes += bytes;
		return;
	}
	first.packets = 1;
	first.bytes = bytes;
	bpf_map_update_elem(&counters, &key, &first, 0);
}

INLINE void trace(struct context *packet, __u8 point, __u32 source, __u32 destination, __u16 endpoint, __u32 device,
		  __u8 reason, __u32 captured)
{
	__u64 length = length_of(packet), most = lesser((__u64)captured, length);
	struct capture_event event = {
		.heading = { 4, point, 17, hash_of(packet) },
		.length = length,
		.captured = most,
		.source = source,
		.destination = destination,
		.endpoint = endpoint,
		.reason = reason,
		.device = device,
	};

	count(length, point & 1, 0);
	if (!captured)
		return;
	emit(packet, most << 32 | BPF_F_CURRENT_CPU, &event);
}

INLINE int dropped(struct context *packet, __u32 source, __u32 destination, int reason, __u8 direction)
{
	__u64 length = length_of(packet), most = lesser((__u64)128, length);
	struct capture_event event = {
		.heading = { 1, reason < 0 ? -reason : reason, 17, hash_of(packet) },
		.length = length,
		.captured = most,
		.source = source,
		.destination = destination,
		.reason = -reason,
	};

	count(length, direction, -reason);
	emit(packet, most << 32 | BPF_F_CURRENT_CPU, &event);
	return DROP;
}

INLINE int go_on(struct context *packet, __u32 where)
{
	bpf_tail_call(packet, &calls, where);
	return MISSED_TAIL;
}

struct checksum {
	__u16 offset, flags;
};

INLINE void checksum_of(__u8 protocol, struct checksum *sum)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		sum->offset = 16;
		break;
	case PROTOCOL_UDP:
		sum->offset = 6;
		sum->flags = BPF_F_MARK_MANGLED_0;
		break;
	case PROTOCOL_ICMP6:
		sum->offset = 2;
		break;
	case PROTOCOL_ICMP:
		break;
	}
}

INLINE int write_port(struct context *packet, __u32 l4, __u32 field, const struct checksum *sum, __be16 to, __be16 from)
{
	if (sum->offset && replace_l4(packet, l4 + sum->offset, from, to, sum->flags | 2) < 0)
		return CHECKSUM;
	if (store_bytes(packet, l4 + field, &to, 2) < 0)
		return WRITE;
	return 0;
}

union address6 {
	struct {
		__be32 p1, p2, p3, p4;
	};
	struct {
		__u64 d1, d2;
	};
	__u8 bytes[16];
};

/* The state of a connection, of both families. */
struct connection {
	__u64 rx_packets, rx_bytes, tx_packets, tx_bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, translated : 1, loopback : 1, seen_data : 1, node_port : 1, proxied : 1,
		direct : 1, reserved : 8;
	__u16 reverse, device;
	__u8 tx_flags, rx_flags;
	__u32 identity, last_tx, last_rx;
};
struct found {
	__u16 reverse, loopback : 1, node_port : 1, direct : 1, proxied : 1, reserved : 12;
	__be32 address, service;
	__u32 identity;
	__u16 device, backend;
};
enum { EGRESS, INGRESS, SERVICE };
enum { NEW, ESTABLISHED, REPLY, RELATED, REOPENED };
enum { FLAG_OUT = 0, FLAG_IN = 1, FLAG_RELATED = 2, FLAG_SERVICE = 4 };

struct service {
	__u32 backend;
	__u16 count, reverse;
	__u8 flags, more, pad[2];
};
struct policy_key {
	__u32 identity;
	__be16 port;
	__u8 protocol, egress : 1, pad : 7;
};
struct policy {
	__be16 proxy;
	__u8 deny : 1, flags : 7, pad;
	__u64 packets, bytes;
};
struct remote {
	__u32 identity;
	__be32 tunnel;
	__u8 key, flags, pad[2];
};
struct endpoint {
	__u32 device;
	__u16 unused, id;
	__u32 flags;
	__u64 mac, node_mac;
};

OLD_MAP(policies, HASH, sizeof(struct policy_key), sizeof(struct policy), 16384);

INLINE int allowed(struct context *packet, __u32 identity, __be16 port, __u8 protocol, int egress, int fragment)
{
	struct policy_key key = { .identity = identity, .port = port, .protocol = protocol, .egress = egress };
	struct policy *policy;

	if (!fragment) {
		policy = bpf_map_lookup_elem(&policies, &key);
		if (policy) {
			debug(packet, 20, identity, port, protocol);
			__sync_fetch_and_add(&policy->packets, 1);
			__sync_fetch_and_add(&policy->bytes, length_of(packet));
			if (unlikely(policy->deny))
				return DENIED;
			return policy->proxy;
		}
	}
	key.port = 0;
	key.protocol = 0;
	policy = bpf_map_lookup_elem(&policies, &key);
	if (policy) {
		__sync_fetch_and_add(&policy->packets, 1);
		__sync_fetch_and_add(&policy->bytes, length_of(packet));
		if (unlikely(policy->deny))
			return DENIED;
		return 0;
	}
	key.identity = 0;
	key.port = port;
	key.protocol = protocol;
	policy = bpf_map_lookup_elem(&policies, &key);
	if (policy && !fragment) {
		__sync_fetch_and_add(&policy->packets, 1);
		__sync_fetch_and_add(&policy->bytes, length_of(packet));
		return policy->deny ? DENIED : policy->proxy;
	}
	key.port = 0;
	key.protocol = 0;
	policy = bpf_map_lookup_elem(&policies, &key);
	if (policy && !policy->deny)
		return 0;
	debug(packet, 21, identity, port, egress);
	return fragment ? FRAGMENT : DENIED;
}

#ifndef XDP
struct tunnel_key_small {
	__u32 id, remote;
	__u8 tos, ttl;
};

INLINE int into_tunnel(struct __sk_buff *packet, __be32 remote, __u32 identity, __u32 device)
{
	struct bpf_tunnel_key key = {};

	key.tunnel_id = identity;
	key.remote_ipv4 = bpf_ntohl(remote);
	key.tunnel_ttl = 64;
	if (unlikely(bpf_skb_set_tunnel_key(packet, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) < 0))
		return WRITE;
	trace(packet, 5, identity, 0, 0, device, 0, 128);
	return bpf_redirect(device, 0);
}

INLINE int write_macs(struct __sk_buff *packet, const __u64 *source, const __u64 *destination)
{
	if (bpf_skb_store_bytes(packet, 6, source, 6, 0) < 0)
		return WRITE;
	if (bpf_skb_store_bytes(packet, 0, destination, 6, 0) < 0)
		return WRITE;
	return 0;
}
#endif

#endif
