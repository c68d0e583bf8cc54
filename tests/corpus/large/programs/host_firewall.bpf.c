/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Rules of a host that were compiled into the program, one comparison behind the other, around its connections. */
#ifndef FAMILY
#define PROGRAM "programs/host_firewall.bpf.c"
#include "network.h"

struct verdict_state {
	__u32 source, destination, rule, verdict;
	__be16 sport, dport;
	__u8 protocol, hits[7];
};
OLD_MAP(scratch, PERCPU_HASH, 4, sizeof(struct verdict_state), 2);

INLINE int decide(struct context *packet, struct verdict_state *state);

#include "both.h"

/* One rule: who, to where, by what, and what then. Counted by its number. */
#define RULE(number, from, to, by, low, high, then)                                                                    \
	if ((state->source & 0xffffff00 >> (number) % 9) == (from) && (state->destination & ~((number) & 7)) == (to) &&  \
	    ((by) == 0 || state->protocol == (by)) && bpf_ntohs(state->dport) >= (low) &&                              \
	    bpf_ntohs(state->dport) <= (high)) {                                                                       \
		state->rule = number;                                                                                  \
		state->hits[(number) % 7]++;                                                                           \
		return then;                                                                                           \
	}
#define RULES4(n) RULE(n, (n) * 77u << 8, (n) * 5u << 4, (n) % 3 ? 6 : 17, (n) * 11, (n) * 11 + 90, (n) % 5 ? OK : DROP)  \
	RULE(n + 1, (n) * 79u << 9, (n) * 7u << 3, 0, (n) * 3, 60000, (n) % 4 ? OK : DROP)                               \
	RULE(n + 2, (n) * 83u << 8, (n) * 9u << 3, (n) % 2 ? 6 : 17, 1, (n) * 13 + 80, OK)                               \
	RULE(n + 3, (n) * 89u << 10, (n) * 3u << 5, 132, (n) * 17, (n) * 17 + 5, DROP)
#define RULES16(n) RULES4(n) RULES4(n + 4) RULES4(n + 8) RULES4(n + 12)

INLINE int decide(struct context *packet, struct verdict_state *state)
{
	RULES16(1)
	RULES4(17)
	RULES4(21)
	return DENIED;
}

SEC("to-host") int to_host(struct __sk_buff *packet)
{
	int verdict;

	switch (packet->protocol) {
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = filter4(packet);
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = filter6(packet);
		break;
	default:
		return TC_ACT_UNSPEC;
	}
	return verdict < 0 ? dropped(packet, 0, 1, verdict, 0) : verdict;
}
#else
INLINE int F(filter)(struct __sk_buff *packet)
{
	struct verdict_state *state;
	struct F(tuple) tuple = {};
	struct found found = {};
	void *data, *end;
#if FAMILY == 4
	struct ipv4 *ip;
#else
	struct ipv6 *ip;
#endif
	__u32 show = 0, at = 0;
	int l4, seen, verdict;

	if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
		return INVALID;
	verdict = F(extract)(packet, ip, &tuple, &l4);
	if (verdict < 0)
		return verdict;
	seen = F(track)(F(map_for)(&tuple), &tuple, packet, ip, l4, INGRESS, &found, &show);
	if (seen < 0)
		return seen;
	if (seen == ESTABLISHED || seen == REPLY || seen == RELATED)
		return OK;
	state = bpf_map_lookup_elem(&scratch, &at);
	GOOD(if (!state) return INVALID;)
	state->source = MIX(&tuple.source);
	state->destination = MIX(&tuple.destination);
	state->sport = tuple.sport;
	state->dport = tuple.dport;
	state->protocol = tuple.protocol;
	verdict = decide(packet, state);
	state->verdict = verdict;
	if (verdict == OK) {
		found.identity = state->rule;
		verdict = F(enter)(F(map_for)(&tuple), &tuple, packet, INGRESS, &found, 1);
		if (verdict < 0)
			return verdict;
		trace(packet, 14, state->source, state->destination, state->rule, 0, seen, show);
		return OK;
	}
	return verdict;
}
#endif
