/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What is the same for IPv4 and for IPv6, included once for each, with FAMILY defined. */

#define PASTE2(name, family) name##family
#define PASTE(name, family) PASTE2(name, family)
#define F(name) PASTE(name, FAMILY)

#undef COPY
#undef SAME
#undef MIX
#if FAMILY == 4
#define HEADER struct ipv4
#define ADDRESS __be32
#define SOURCE_AT (ETHERNET + 12)
#define DESTINATION_AT (ETHERNET + 16)
#define COPY(to, from) (*(to) = *(from))
#define SAME(a, b) (*(a) == *(b))
#define MIX(a) (*(a))
#else
#define HEADER struct ipv6
#define ADDRESS union address6
#define SOURCE_AT (ETHERNET + 8)
#define DESTINATION_AT (ETHERNET + 24)
#define COPY(to, from) ((to)->d1 = (from)->d1, (to)->d2 = (from)->d2)
#define SAME(a, b) ((a)->d1 == (b)->d1 && (a)->d2 == (b)->d2)
#define MIX(a) ((a)->p1 ^ (a)->p2 ^ (a)->p3 ^ (a)->p4)
#endif

struct F(tuple) {
	ADDRESS destination, source;
	__be16 dport, sport;
	__u8 protocol, flags;
} __attribute__((packed));

struct F(service_key) {
	ADDRESS address;
	__be16 port;
	__u16 slot;
	__u8 protocol, scope, pad[2];
};
struct F(backend) {
	ADDRESS address;
	__be16 port;
	__u8 protocol, flags;
};
struct F(reverse) {
	ADDRESS address;
	__be16 port;
} __attribute__((packed));
struct F(affinity_key) {
	ADDRESS client;
	__u16 service;
	__u16 pad;
	__u32 more;
} __attribute__((packed));
struct F(affinity) {
	__u64 last;
	__u32 backend, pad;
};
struct F(mapping) {
	__u64 created, local, pad[2];
	ADDRESS address;
	__be16 port;
};
struct F(target) {
	ADDRESS address;
	__u16 least, most;
};
struct F(prefix) {
	__u32 bits;
	__u16 pad;
	__u8 pad2, family;
	ADDRESS address;
};

OLD_MAP(F(connections), LRU_HASH, sizeof(struct F(tuple)), sizeof(struct connection), 65536);
OLD_MAP(F(other_connections), LRU_HASH, sizeof(struct F(tuple)), sizeof(struct connection), 65536);
OLD_MAP(F(services), HASH, sizeof(struct F(service_key)), sizeof(struct service), 65536);
OLD_MAP(F(backends), HASH, 4, sizeof(struct F(backend)), 65536);
OLD_MAP(F(reverses), HASH, 2, sizeof(struct F(reverse)), 65536);
OLD_MAP(F(affinities), LRU_HASH, sizeof(struct F(affinity_key)), sizeof(struct F(affinity)), 65536);
OLD_MAP(F(mappings), LRU_HASH, sizeof(struct F(tuple)), sizeof(struct F(mapping)), 65536);
OLD_MAP(F(endpoints), HASH, sizeof(struct F(prefix)), sizeof(struct endpoint), 65536);
struct bpf_elf_map SEC("maps") F(remotes) = {
	BPF_MAP_TYPE_LPM_TRIE, sizeof(struct F(prefix)), sizeof(struct remote), 65536, BPF_F_NO_PREALLOC, 0, 2, 0, 0,
};
struct bpf_elf_map SEC("maps") F(ranges) = {
	BPF_MAP_TYPE_LPM_TRIE, sizeof(struct F(prefix)), 1, 65536, BPF_F_NO_PREALLOC, 0, 2, 0, 0,
};
#if FAMILY == 4
OLD_MAP(fragments, LRU_HASH, 12, 4, 8192);
#define PORTS_MAP 104
#else
#define PORTS_MAP 106
#endif
struct bpf_elf_map SEC("maps") F(rings) = {
	BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 512, 0, 0, 2, PORTS_MAP, 0,
};
#define RING_SIZE 251
struct bpf_elf_map SEC("maps") F(ring) = {
	BPF_MAP_TYPE_ARRAY, 4, 4 * RING_SIZE, 1, 0, PORTS_MAP, 0, 0, 0,
};

INLINE void F(turn_around)(struct F(tuple) * tuple)
{
	ADDRESS address;
	__be16 port = tuple->sport;

	COPY(&address, &tuple->source);
	COPY(&tuple->source, &tuple->destination);
	COPY(&tuple->destination, &address);
	tuple->sport = tuple->dport;
	tuple->dport = port;
	if (tuple->flags & FLAG_IN)
		tuple->flags &= ~FLAG_IN;
	else
		tuple->flags |= FLAG_IN;
}

INLINE void *F(map_for)(const struct F(tuple) * tuple)
{
	return tuple->protocol == PROTOCOL_TCP ? (void *)&F(connections) : (void *)&F(other_connections);
}

#if FAMILY == 4
struct fragment_key {
	__be32 destination, source;
	__be16 identification;
	__u8 protocol, pad;
};

INLINE int header_length4(const struct ipv4 *ip)
{
	return (ip->version_length & 0xf) * 4;
}
INLINE int whole4(const struct ipv4 *ip)
{
	return !(ip->fragment & bpf_htons(IPV4_FRAGMENT_OFFSET));
}
INLINE int ports4(struct context *packet, struct ipv4 *ip, int l4, struct tuple4 *tuple, int *headed)
{
	void *data, *end;
	struct fragment_key key;
	__u32 *kept;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	if (unlikely(ip->fragment & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))) {
		zero(&key);
		key.destination = ip->destination;
		key.source = ip->source;
		key.identification = ip->identification;
		key.protocol = ip->protocol;
		if (!whole4(ip)) {
			*headed = 0;
			kept = bpf_map_lookup_elem(&fragments, &key);
			if (!kept)
				return FRAGMENT;
			__builtin_memcpy(&tuple->dport, kept, 4);
			return 0;
		}
		if (load_bytes(packet, l4, &tuple->dport, 4) < 0)
			return INVALID;
		bpf_map_update_elem(&fragments, &key, &tuple->dport, 0);
		return 0;
	}
	return load_bytes(packet, l4, &tuple->dport, 4) < 0 ? INVALID : 0;
}
INLINE int extract4(struct context *packet, struct ipv4 *ip, struct tuple4 *tuple, int *l4)
{
	tuple->protocol = ip->protocol;
	tuple->source = ip->source;
	tuple->destination = ip->destination;
	*l4 = ETHERNET + header_length4(ip);
	return 0;
}
#else
/* The length of an IPv6 header with its extensions, of which `next` is what comes behind them. */
INLINE int header_length6(struct context *packet, __u8 *next)
{
	struct {
		__u8 next, length;
	} extension __attribute__((aligned(8)));
	__u8 kind = *next;
	int i, length = sizeof(struct ipv6);

#pragma unroll
	for (i = 0; i < 4; i++) {
		switch (kind) {
		case PROTOCOL_NONE:
			return INVALID;
		case PROTOCOL_FRAGMENT:
			return FRAGMENT;
		case PROTOCOL_HOP_BY_HOP:
		case PROTOCOL_ROUTING:
		case PROTOCOL_AUTHENTICATION:
		case PROTOCOL_DESTINATION:
			if (load_bytes(packet, ETHERNET + length, &extension, sizeof(extension)) < 0)
				return INVALID;
			if (kind == PROTOCOL_AUTHENTICATION)
				length += (extension.length + 2) << 2;
			else
				length += (extension.length + 1) << 3;
			kind = extension.next;
			break;
		default:
			*next = kind;
			return length;
		}
	}
	return INVALID;
}
INLINE int extract6(struct context *packet, struct ipv6 *ip, struct tuple6 *tuple, int *l4)
{
	int length;

	tuple->protocol = ip->next;
	COPY(&tuple->source, (union address6 *)&ip->source);
	COPY(&tuple->destination, (union address6 *)&ip->destination);
	length = header_length6(packet, &tuple->protocol);
	if (length < 0)
		return length;
	*l4 = ETHERNET + length;
	return 0;
}
#endif

/* Writes when the connection was seen; tells how much of the packet is to be shown. */
INLINE __u32 F(seen)(struct connection *connection, int tcp, int direction, __u8 flags)
{
	__u32 now = bpf_ktime_get_ns() / 1000000000, lifetime = 60, last;
	__u8 before;

	if (tcp) {
		connection->seen_data |= !(flags & TCP_SYN);
		lifetime = connection->seen_data ? 21600 : 60;
	}
	*(volatile __u32 *)&connection->lifetime = now + lifetime;
	if (direction == INGRESS) {
		before = *(volatile __u8 *)&connection->rx_flags;
		last = *(volatile __u32 *)&connection->last_rx;
	} else {
		before = *(volatile __u8 *)&connection->tx_flags;
		last = *(volatile __u32 *)&connection->last_tx;
	}
	flags |= before;
	if (last + 5 < now || before != flags) {
		if (direction == INGRESS) {
			*(volatile __u8 *)&connection->rx_flags = flags;
			*(volatile __u32 *)&connection->last_rx = now;
		} else {
			*(volatile __u8 *)&connection->tx_flags = flags;
			*(volatile __u32 *)&connection->last_tx = now;
		}
		return 128;
	}
	return 0;
}

enum F(action) { F(NOTHING), F(CREATE), F(CLOSE) };

INLINE int F(look)(const void *map, struct context *packet, const void *tuple, int action, int direction,
		   struct found *found, int tcp, __u8 flags, __u32 *show)
{
	struct connection *connection;

	rest();
	connection = bpf_map_lookup_elem((void *)map, tuple);
	if (connection) {
		debug(packet, 30, connection->lifetime, connection->reverse, 0);
		if (!connection->rx_closing || !connection->tx_closing)
			*show = F(seen)(connection, tcp, direction, flags);
		if (found) {
			found->reverse = connection->reverse;
			found->loopback = connection->loopback;
			found->node_port = connection->node_port;
			found->device = connection->device;
			found->direct = connection->direct;
			found->proxied = connection->proxied;
			if (direction == SERVICE)
				found->backend = connection->rx_bytes;
		}
		if (direction == INGRESS) {
			__sync_fetch_and_add(&connection->rx_packets, 1);
			__sync_fetch_and_add(&connection->rx_bytes, length_of(packet));
		} else if (direction == EGRESS) {
			__sync_fetch_and_add(&connection->tx_packets, 1);
			__sync_fetch_and_add(&connection->tx_bytes, length_of(packet));
		}
		switch (action) {
		case F(CREATE):
			if (unlikely((connection->rx_closing | connection->tx_closing) && flags & TCP_SYN)) {
				connection->rx_closing = 0;
				connection->tx_closing = 0;
				*show = F(seen)(connection, tcp, direction, flags);
				return REOPENED;
			}
			break;
		case F(CLOSE):
			if (!(connection->rx_flags & TCP_SYN && connection->tx_flags & TCP_SYN) && flags & TCP_RST &&
			    direction != SERVICE) {
				connection->rx_closing = 1;
				connection->tx_closing = 1;
			} else if (direction == INGRESS) {
				connection->rx_closing = 1;
			} else {
				connection->tx_closing = 1;
			}
			*show = 128;
			if (!connection->rx_closing || !connection->tx_closing)
				break;
			connection->lifetime = bpf_ktime_get_ns() / 1000000000 + 10;
			break;
		}
		return ESTABLISHED;
	}
	*show = 128;
	return NEW;
}

INLINE int F(track)(const void *map, struct F(tuple) * tuple, struct context *packet, void *ip, int l4, int direction,
		    struct found *found, __u32 *show)
{
	int state, action = F(NOTHING), tcp = tuple->protocol == PROTOCOL_TCP, headed = 1;
	union {
		struct {
			__u8 upper, lower;
			__u16 pad;
		};
		__u32 value;
	} flags = { .value = 0 };
	__be16 identifier = 0;
	__u8 kind;

	if (direction == INGRESS)
		tuple->flags = FLAG_OUT;
	else if (direction == EGRESS)
		tuple->flags = FLAG_IN;
	else
		tuple->flags = FLAG_SERVICE;
	switch (tuple->protocol) {
#if FAMILY == 4
	case PROTOCOL_ICMP:
		if (load_bytes(packet, l4, &kind, 1) < 0)
			return INVALID;
		if ((kind == 8 || kind == 0) && load_bytes(packet, l4 + 4, &identifier, 2) < 0)
			return INVALID;
		tuple->sport = 0;
		tuple->dport = 0;
		switch (kind) {
		case 3:
		case 11:
		case 12:
			tuple->flags |= FLAG_RELATED;
			break;
		case 0:
			tuple->sport = identifier;
			break;
		case 8:
			tuple->dport = identifier;
		default:
			action = F(CREATE);
		}
		break;
#else
	case PROTOCOL_ICMP6:
		if (load_bytes(packet, l4, &kind, 1) < 0)
			return INVALID;
		if ((kind == 128 || kind == 129) && load_bytes(packet, l4 + 4, &identifier, 2) < 0)
			return INVALID;
		tuple->sport = 0;
		tuple->dport = 0;
		switch (kind) {
		case 1 ... 4:
			tuple->flags |= FLAG_RELATED;
			break;
		case 129:
			tuple->sport = identifier;
			break;
		case 128:
			tuple->dport = identifier;
		default:
			action = F(CREATE);
		}
		break;
#endif
	case PROTOCOL_TCP:
		if (load_bytes(packet, l4 + 12, &flags, 2) < 0)
			return INVALID;
		action = unlikely(flags.lower & (TCP_RST | TCP_FIN)) ? F(CLOSE) : F(CREATE);
#if FAMILY == 4
		if (ports4(packet, ip, l4, tuple, &headed) < 0)
			return INVALID;
#else
		if (load_bytes(packet, l4, &tuple->dport, 4) < 0)
			return INVALID;
#endif
		break;
	case PROTOCOL_UDP:
#if FAMILY == 4
		if (ports4(packet, ip, l4, tuple, &headed) < 0)
			return INVALID;
#else
		if (load_bytes(packet, l4, &tuple->dport, 4) < 0)
			return INVALID;
#endif
		action = F(CREATE);
		break;
	default:
		return UNKNOWN;
	}
	debug(packet, 31, MIX(&tuple->source), MIX(&tuple->destination),
	      bpf_ntohs(tuple->sport) << 16 | bpf_ntohs(tuple->dport));
	debug(packet, 32, tuple->protocol << 8 | tuple->flags, 0, 0);
	state = F(look)(map, packet, tuple, action, direction, found, tcp, flags.lower, show);
	if (state != NEW) {
		if (state == ESTABLISHED || state == REOPENED)
			state = unlikely(tuple->flags & FLAG_RELATED) ? RELATED : REPLY;
		goto out;
	}
	if (direction != SERVICE) {
		F(turn_around)(tuple);
		state = F(look)(map, packet, tuple, action, direction, found, tcp, flags.lower, show);
	}
out:
	debug(packet, 33, state < 0 ? -state : state, found ? found->reverse : 0, 0);
	if (tuple->dport == bpf_htons(53))
		*show = 1500;
	return state;
}

INLINE int F(enter)(void *map, struct F(tuple) * tuple, struct context *packet, int direction,
		    const struct found *found, int related)
{
	struct connection connection = {};
	int tcp = tuple->protocol == PROTOCOL_TCP;
	struct F(tuple) error;

	connection.reverse = found->reverse;
	connection.loopback = found->loopback;
	connection.node_port = found->node_port;
	connection.direct = found->direct;
	connection.device = found->device;
	connection.identity = found->identity;
	F(seen)(&connection, tcp, direction, tcp ? TCP_SYN : 0);
	if (direction == INGRESS) {
		connection.rx_packets = 1;
		connection.rx_bytes = length_of(packet);
	} else if (direction == EGRESS) {
		connection.tx_packets = 1;
		connection.tx_bytes = length_of(packet);
	}
	debug(packet, 34, connection.reverse, connection.identity, 0);
	if (bpf_map_update_elem(map, tuple, &connection, 0) < 0)
		return FULL;
	if (related) {
		zero(&error);
		COPY(&error.source, &tuple->source);
		COPY(&error.destination, &tuple->destination);
		error.protocol = FAMILY == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6;
		error.flags = tuple->flags | FLAG_RELATED;
		connection.seen_data = 1;
		if (bpf_map_update_elem(&F(other_connections), &error, &connection, 0) < 0)
			return FULL;
	}
	return 0;
}

INLINE struct service *F(find_service)(struct F(service_key) * key, int scoped)
{
	struct service *service;

	key->scope = 0;
	key->slot = 0;
	service = bpf_map_lookup_elem(&F(services), key);
	if (service) {
		if (!scoped || !(service->flags & 16))
			return service->count ? service : NULL;
		key->scope = 1;
		service = bpf_map_lookup_elem(&F(services), key);
		if (service && service->count)
			return service;
	}
	return NULL;
}

INLINE __u32 F(mixed)(const struct F(tuple) * tuple)
{
	__u32 a = MIX(&tuple->source), b = MIX(&tuple->destination), c = tuple->dport << 16 | tuple->sport;

	a += 0xdeadbeef + tuple->protocol;
	b ^= c;
	b -= c << 14 | c >> 18;
	a ^= b;
	a -= b << 11 | b >> 21;
	c ^= a;
	c -= a << 25 | a >> 7;
	b ^= c;
	b -= c << 16 | c >> 16;
	a ^= b;
	a -= b << 4 | b >> 28;
	return a ^ c;
}

/* A backend by a table of the service in a map of maps, or by chance among its slots. */
INLINE __u32 F(choose)(struct context *packet, struct F(service_key) * key, const struct F(tuple) * tuple,
		       const struct service *service)
{
	__u32 at = service->reverse, none = 0;
	void *inner = bpf_map_lookup_elem(&F(rings), &at);
	struct service *slot;
	__u32 *ring;

	if (inner) {
		ring = bpf_map_lookup_elem(inner, &none);
		if (unlikely(!ring))
			return 0;
		at = F(mixed)(tuple) % RING_SIZE;
		asm volatile("if %[at] > %[most] goto +2\n%[at] <<= 2\n%[ring] += %[at]\n"
			     : [ring] "+r"(ring), [at] "+r"(at)
			     : [most] "i"(RING_SIZE - 1));
		return *(volatile __u32 *)ring;
	}
	key->slot = bpf_get_prandom_u32() % service->count + 1;
	slot = bpf_map_lookup_elem(&F(services), key);
	return slot ? slot->backend : 0;
}

/* Writes a backend's address and port into packet and tuple. */
INLINE int F(send_to)(struct context *packet, struct F(tuple) * tuple, const struct F(service_key) * key,
		      const struct F(backend) * backend, int l4, const struct checksum *sum, const ADDRESS *loopback,
		      int looped)
{
	ADDRESS to;
	__s64 change;
	int failed;

	COPY(&to, &backend->address);
	if (store_bytes(packet, DESTINATION_AT, &to, sizeof(to)) < 0)
		return WRITE;
	change = bpf_csum_diff((__be32 *)&key->address, sizeof(to), (__be32 *)&to, sizeof(to), 0);
	if (looped) {
		if (store_bytes(packet, SOURCE_AT, loopback, sizeof(to)) < 0)
			return WRITE;
		change = bpf_csum_diff((__be32 *)&tuple->source, sizeof(to), (__be32 *)loopback, sizeof(to), change);
		COPY(&tuple->source, loopback);
	}
#if FAMILY == 4
	if (replace_l3(packet, ETHERNET + 10, 0, change) < 0)
		return CHECKSUM;
#endif
	if (sum->offset && replace_l4(packet, l4 + sum->offset, 0, change, BPF_F_PSEUDO_HDR | sum->flags) < 0)
		return CHECKSUM;
	if (backend->port && key->port != backend->port &&
	    (tuple->protocol == PROTOCOL_TCP || tuple->protocol == PROTOCOL_UDP)) {
		failed = write_port(packet, l4, 2, sum, backend->port, key->port);
		if (failed < 0)
			return failed;
	}
	COPY(&tuple->destination, &to);
	tuple->sport = backend->port;
	return 0;
}

INLINE int F(balance)(struct context *packet, struct F(tuple) * tuple, void *ip, int l4, struct F(service_key) * key,
		      struct service *service, struct found *found, ADDRESS *loopback)
{
	struct F(affinity_key) client = {};
	struct F(affinity) * affinity, fresh = {};
	struct F(backend) * backend;
	struct checksum sum = {};
	__u32 show = 0, chosen = 0;
	__u8 flags = tuple->flags;
	int state, sticky = service->flags & 4;
	void *map = F(map_for)(tuple);

	checksum_of(tuple->protocol, &sum);
	found->reverse = service->reverse;
	state = F(track)(map, tuple, packet, ip, l4, SERVICE, found, &show);
	switch (state) {
	case NEW:
		if (sticky) {
			COPY(&client.client, &tuple->source);
			client.service = service->reverse;
			affinity = bpf_map_lookup_elem(&F(affinities), &client);
			if (affinity) {
				if (affinity->last + 10 > bpf_ktime_get_ns() / 1000000000)
					chosen = affinity->backend;
				else
					bpf_map_delete_elem(&F(affinities), &client);
			}
		}
		if (!chosen) {
			chosen = F(choose)(packet, key, tuple, service);
			if (!chosen)
				return NO_SERVICE;
		}
		found->backend = chosen;
		found->reverse = service->reverse;
		state = F(enter)(map, tuple, packet, SERVICE, found, 0);
		if (state < 0)
			return NO_SERVICE;
		break;
	case REOPENED:
	case ESTABLISHED:
	case RELATED:
	case REPLY:
		chosen = found->backend;
		break;
	default:
		return UNKNOWN;
	}
	backend = bpf_map_lookup_elem(&F(backends), &chosen);
	if (unlikely(!backend || backend->flags != 0)) {
		key->slot = 0;
		service = bpf_map_lookup_elem(&F(services), key);
		if (!service || !service->count)
			return NO_SERVICE;
		chosen = F(choose)(packet, key, tuple, service);
		backend = bpf_map_lookup_elem(&F(backends), &chosen);
		if (!backend)
			return NO_SERVICE;
		found->backend = chosen;
	}
	if (sticky) {
		COPY(&client.client, &tuple->source);
		client.service = found->reverse;
		fresh.last = bpf_ktime_get_ns() / 1000000000;
		fresh.backend = chosen;
		bpf_map_update_elem(&F(affinities), &client, &fresh, 0);
	}
	tuple->flags = flags;
	found->loopback = loopback && SAME(&backend->address, &tuple->source);
	return F(send_to)(packet, tuple, key, backend, l4, &sum, loopback, found->loopback);
}

/* What `balance` did, undone for a reply. */
INLINE int F(undo)(struct context *packet, struct F(tuple) * tuple, int l4, __u16 reverse, int in_tuple)
{
	struct F(reverse) *entry = bpf_map_lookup_elem(&F(reverses), &reverse);
	struct checksum sum = {};
	ADDRESS before, after;
	__be16 port;
	__s64 change;
	int failed;

	if (!entry)
		return 0;
	checksum_of(tuple->protocol, &sum);
	if (entry->port && (tuple->protocol == PROTOCOL_TCP || tuple->protocol == PROTOCOL_UDP)) {
		if (load_bytes(packet, l4, &port, 2) < 0)
			return INVALID;
		if (port != entry->port) {
			failed = write_port(packet, l4, 0, &sum, entry->port, port);
			if (failed < 0)
				return failed;
		}
	}
	if (in_tuple) {
		COPY(&before, &tuple->source);
	} else if (load_bytes(packet, SOURCE_AT, &before, sizeof(before)) < 0) {
		return INVALID;
	}
	COPY(&after, &entry->address);
	if (in_tuple)
		COPY(&tuple->source, &after);
	if (store_bytes(packet, SOURCE_AT, &after, sizeof(after)) < 0)
		return WRITE;
	change = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0);
#if FAMILY == 4
	if (replace_l3(packet, ETHERNET + 10, 0, change) < 0)
		return CHECKSUM;
#endif
	if (sum.offset && replace_l4(packet, l4 + sum.offset, 0, change, BPF_F_PSEUDO_HDR | sum.flags) < 0)
		return CHECKSUM;
	return 0;
}

INLINE __u16 F(in_range)(__u16 least, __u16 most, __u16 port)
{
	return port % (__u16)(most - least) + least;
}

INLINE int F(new_mapping)(struct context *packet, struct F(tuple) * tuple, struct F(mapping) * state,
			  const struct F(target) * target)
{
	int tries, failed = NO_MAPPING;
	struct F(mapping) back;
	struct F(tuple) reply;
	__u16 port;

	zero(&back);
	zero(state);
	COPY(&back.address, &tuple->source);
	back.port = tuple->sport;
	COPY(&state->address, &target->address);
	zero(&reply);
	reply.protocol = tuple->protocol;
	COPY(&reply.destination, &tuple->source);
	COPY(&reply.source, &tuple->destination);
	reply.dport = tuple->sport;
	reply.sport = tuple->dport;
	reply.flags = tuple->flags == FLAG_OUT ? FLAG_IN : FLAG_OUT;
	port = bpf_ntohs(tuple->sport);
	if (port < target->least || port > target->most)
		port = F(in_range)(target->least, target->most, bpf_get_prandom_u32());
	reply.dport = state->port = bpf_htons(port);
	COPY(&reply.destination, &target->address);
	if (SAME(&tuple->source, &target->address)) {
		state->local = 1;
		back.local = state->local;
	}
#ifndef TRIES
#define TRIES 32
#endif
#pragma unroll
	for (tries = 0; tries < TRIES; tries++) {
		if (!bpf_map_lookup_elem(&F(mappings), &reply)) {
			state->created = bpf_ktime_get_ns();
			back.created = state->created;
			failed = bpf_map_update_elem(&F(mappings), &reply, &back, BPF_NOEXIST);
			if (!failed) {
				failed = bpf_map_update_elem(&F(mappings), tuple, state, BPF_NOEXIST);
				if (!failed)
					break;
				bpf_map_delete_elem(&F(mappings), &reply);
			}
		}
		port = F(in_range)(target->least, target->most, tries ? port + 1 : bpf_get_prandom_u32());
		reply.dport = state->port = bpf_htons(port);
	}
	if (tries > TRIES / 2)
		debug(packet, 40, tries, FAMILY, 0);
	return failed ? NO_MAPPING : 0;
}

INLINE int F(rewrite)(struct context *packet, const struct F(tuple) * tuple, const struct F(mapping) * state, int l4,
		      int outward)
{
	const ADDRESS *address = outward ? &tuple->source : &tuple->destination;
	__be16 port = outward ? tuple->sport : tuple->dport;
	struct checksum sum = {};
	__s64 change, of_ports = 0;
	__be32 from, to;
	ADDRESS old, fresh;
	int failed;

	COPY(&old, address);
	COPY(&fresh, &state->address);
	if (SAME(&old, &fresh) && state->port == port)
		return 0;
	change = bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&fresh, sizeof(fresh), 0);
	checksum_of(tuple->protocol, &sum);
	if (state->port != port) {
		switch (tuple->protocol) {
		case PROTOCOL_TCP:
		case PROTOCOL_UDP:
			failed = write_port(packet, l4, outward ? 0 : 2, &sum, state->port, port);
			if (failed < 0)
				return failed;
			break;
		case PROTOCOL_ICMP:
		case PROTOCOL_ICMP6:
			if (store_bytes(packet, l4 + 4, &state->port, 2) < 0)
				return WRITE;
			from = port;
			to = state->port;
			of_ports = bpf_csum_diff(&from, 4, &to, 4, FAMILY == 4 ? 0 : change);
			sum.offset = 2;
			break;
		}
	}
	if (store_bytes(packet, outward ? SOURCE_AT : DESTINATION_AT, &fresh, sizeof(fresh)) < 0)
		return WRITE;
#if FAMILY == 4
	if (replace_l3(packet, ETHERNET + 10, 0, change) < 0)
		return CHECKSUM;
#endif
	if (tuple->protocol == PROTOCOL_ICMP || tuple->protocol == PROTOCOL_ICMP6)
		change = of_ports;
	if (sum.offset && replace_l4(packet, l4 + sum.offset, 0, change, BPF_F_PSEUDO_HDR | sum.flags) < 0)
		return CHECKSUM;
	return 0;
}

INLINE int F(translate)(struct context *packet, int outward, const struct F(target) * target)
{
	struct {
		__u8 kind, code;
		__be16 checksum, identifier, sequence;
	} icmp __attribute__((aligned(8)));
	struct F(mapping) * state, fresh;
	struct F(tuple) tuple = {};
	struct {
		__be16 source, destination;
	} ports;
	struct found found;
	void *data, *end;
	HEADER *ip;
	__u32 show = 0;
	int l4, failed;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 0))
		return INVALID;
	failed = F(extract)(packet, ip, &tuple, &l4);
	if (failed < 0)
		return failed;
	tuple.flags = outward ? FLAG_OUT : FLAG_IN;
	switch (tuple.protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
		if (load_bytes(packet, l4, &ports, sizeof(ports)) < 0)
			return INVALID;
		tuple.dport = ports.destination;
		tuple.sport = ports.source;
		break;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMP6:
		if (load_bytes(packet, l4, &icmp, sizeof(icmp)) < 0)
			return INVALID;
		if (icmp.kind != (FAMILY == 4 ? 8 : 128) && icmp.kind != (FAMILY == 4 ? 0 : 129))
			return UNKNOWN;
		tuple.dport = outward ? 0 : icmp.identifier;
		tuple.sport = outward ? icmp.identifier : 0;
		break;
	default:
		return 1;
	}
	if (outward && bpf_ntohs(tuple.sport) < 1024)
		return 1;
	if (!outward && (bpf_ntohs(tuple.dport) < target->least || bpf_ntohs(tuple.dport) > target->most))
		return 1;
	state = bpf_map_lookup_elem(&F(mappings), &tuple);
	if ((state && state->local) || (!state && outward && SAME(&tuple.source, &target->address))) {
		struct F(tuple) local;

		zero(&found);
		__builtin_memcpy(&local, &tuple, sizeof(local));
		failed = F(track)(F(map_for)(&local), &local, packet, ip, l4, outward ? EGRESS : INGRESS, &found, &show);
		if (failed < 0)
			return failed;
		if (failed == NEW) {
			failed = F(enter)(F(map_for)(&local), &local, packet, outward ? EGRESS : INGRESS, &found, 0);
			if (failed < 0)
				return failed;
		}
	}
	if (!state) {
		if (!outward)
			return tuple.protocol != PROTOCOL_ICMP ? 1 : NO_MAPPING;
		failed = F(new_mapping)(packet, &tuple, &fresh, target);
		if (failed < 0)
			return failed;
		return F(rewrite)(packet, &tuple, &fresh, l4, outward);
	}
	return F(rewrite)(packet, &tuple, state, l4, outward);
}

INLINE struct remote *F(remote)(const ADDRESS *address)
{
	struct F(prefix) key = { .bits = 32 + 8 * sizeof(ADDRESS), .family = FAMILY };

	COPY(&key.address, address);
	return bpf_map_lookup_elem(&F(remotes), &key);
}

INLINE struct endpoint *F(endpoint)(const ADDRESS *address)
{
	struct F(prefix) key = {};

	key.family = FAMILY;
	COPY(&key.address, address);
	return bpf_map_lookup_elem(&F(endpoints), &key);
}

INLINE int F(route)(struct context *packet, HEADER *ip, __u32 *device)
{
	struct bpf_fib_lookup way = {};
	long found;

	way.ifindex = packet->ingress_ifindex;
#if FAMILY == 4
	way.family = 2;
	way.ipv4_src = ip->source;
	way.ipv4_dst = ip->destination;
#else
	way.family = 10;
	COPY((union address6 *)way.ipv6_src, (union address6 *)&ip->source);
	COPY((union address6 *)way.ipv6_dst, (union address6 *)&ip->destination);
#endif
	found = bpf_fib_lookup(packet, &way, sizeof(way), BPF_FIB_LOOKUP_DIRECT);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return NO_ROUTE;
	if (store_bytes(packet, 0, way.dmac, 6) < 0 || store_bytes(packet, 6, way.smac, 6) < 0)
		return WRITE;
	*device = way.ifindex;
	return 0;
}

/* One hop less, and the checksum with it. */
INLINE int F(hop)(struct context *packet, HEADER *ip)
{
	__u8 left, fresh;

#if FAMILY == 4
	left = ip->ttl;
#else
	if (load_bytes(packet, ETHERNET + 7, &left, 1) < 0)
		return INVALID;
#endif
	if (left <= 1)
		return TTL;
	fresh = left - 1;
#if FAMILY == 4
	if (replace_l3(packet, ETHERNET + 10, left, fresh) < 0)
		return CHECKSUM;
	if (store_bytes(packet, ETHERNET + 8, &fresh, 1) < 0)
		return WRITE;
#else
	if (store_bytes(packet, ETHERNET + 7, &fresh, 1) < 0)
		return WRITE;
#endif
	return 0;
}

#undef HEADER
#undef ADDRESS
#undef SOURCE_AT
#undef DESTINATION_AT
#undef PORTS_MAP
#undef RING_SIZE
