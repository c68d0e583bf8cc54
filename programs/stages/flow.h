/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a flow is: both directions of a connection under one key, and where flows are remembered.
 *
 *     openings   LRU hash   flows of which one side has spoken, or that strangers began and have not gone on with
 *     flows      LRU hash   flows that somebody inside asked for or went on with: what is to be kept
 *     fragments  LRU hash   packets in fragments whose first one passed (flow_fragments.h)
 *     flow_clock array      when frames came last, and until when unknown flows are learned
 *
 * Two maps of flows, so that whoever sends from a million addresses pushes out others of his kind, and nobody's
 * connection. Sizes and time-outs come from the document (`connections:`; appliance/rules/code/stages/flows.py).
 */
#ifndef TIDEGATE_FLOW_H
#define TIDEGATE_FLOW_H

#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include "stage.h"

/* In nanoseconds; `asymmetric` is 1 on a line that sees one direction only. */
struct flow_config {
	__u64 tcp_opening;
	__u64 tcp_established;
	__u64 tcp_closing;
	__u64 tcp_closed;
	__u64 udp;
	__u64 icmp;
	__u64 other;
	__u64 fragments;
	__u64 grace;
	__u64 asymmetric;
};

extern const struct flow_config flow_config;

/*
 * Ports in host order; of ICMP the identifier stands for both, other protocols have none. They are one word with the
 * protocol and the version of IP, written at once, as it is hashed at once: a processor waits for what was written in
 * pieces.
 */
struct flow_key {
	struct address inside;
	struct address outside;
	__u64 ends; /* FLOW_ENDS */
};

#define FLOW_ENDS(inside_port, outside_port, protocol, version) \
	((__u64)(inside_port) << 48 | (__u64)(outside_port) << 32 | (protocol) << 8 | (version))
#define FLOW_PROTOCOL(key) ((__u8)((key)->ends >> 8))

/* The sequence numbers of what one side sends, as the box has seen them (flow_tcp.h). */
struct flow_side {
	__u32 end;          /* behind the last byte sent */
	__u32 limit;        /* behind the last byte that the other side has room for */
	__u32 window;       /* the largest that it has announced */
	__u32 acknowledged; /* what it has acknowledged of the other side's */
};

enum flow_state {
	FLOW_NONE,
	FLOW_OPENING,     /* its opener has spoken, nobody else */
	FLOW_ANSWERED,    /* the other side has, too; of TCP: a SYN-ACK */
	FLOW_ESTABLISHED, /* in `flows` */
	FLOW_CLOSING,     /* one side's FIN */
	FLOW_CLOSED,      /* both sides' FIN */
	FLOW_RESET,
};

struct flow {
	__u64 until;               /* its time, from its last frame on */
	struct flow_side sides[2]; /* by the way that the side's frames go */
	__u8 state;
	__u8 opener;    /* the way of its first frame */
	__u8 finished;  /* bit `1 << way`: that side's FIN has come */
	__u8 scales;    /* of the windows that the sides announce, 4 bits for each way */
	__u8 scaled;    /* bit `1 << way`: its SYN has offered a window scale */
	__u8 learned;   /* 1: its beginning wasn't seen */
	__u16 zero;
};

/* The side whose frames go that way. LLVM isn't to see that the index has one bit: it would make an `or` of the address. */
#define FLOW_SIDE(flow, way) \
	({ \
		__u32 index = (way) & 1; \
\
		asm volatile("" : "+r"(index)); \
		&(flow)->sides[index]; \
	})

struct flow_clock {
	__u64 seen;  /* when frames came last, to the second */
	__u64 learn; /* until when unknown flows are learned; LEARN_NEVER */
};

#define LEARN_NEVER (~0ULL)

EXTERN_MAP(BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct flow, flows);
EXTERN_MAP(BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct flow, openings);
EXTERN_MAP(BPF_MAP_TYPE_ARRAY, __u32, struct flow_clock, flow_clock);

/* What a frame asks to be done with its flow if it passes: `ct_commit` of struct frame. */
enum flow_commit {
	COMMIT_NOTHING,
	COMMIT_OPEN,      /* begin one */
	COMMIT_ANSWER,    /* note that the other side has spoken */
	COMMIT_ESTABLISH, /* keep it */
	COMMIT_FINISH,    /* note the sender's FIN */
	COMMIT_RESET,     /* note that it is gone */
	COMMIT_LEARN,     /* begin one in the middle of a connection, or follow one anew */
};

#define COMMIT_ACTION 0xff
#define COMMIT_FRAGMENT 0x100 /* remember the packet: others of its fragments will come */

#define RESET_KEPT (10 * SECOND) /* what still flies when a connection is reset */

/* A function of its own, proved with what it is given. */
#define FLOW_FUNCTION static __attribute__((noinline))

static __always_inline void flow_key_with(struct frame *frame, struct flow_key *key, __u32 source_port, __u32 destination_port)
{
	if (frame->way == WAY_OUT) {
		key->inside = frame->source;
		key->outside = frame->destination;
		key->ends = FLOW_ENDS(source_port, destination_port, frame->protocol, frame->version);
	} else {
		key->inside = frame->destination;
		key->outside = frame->source;
		key->ends = FLOW_ENDS(destination_port, source_port, frame->protocol, frame->version);
	}
}

static __always_inline void flow_key(struct frame *frame, struct flow_key *key)
{
	flow_key_with(frame, key, frame->source_port, frame->destination_port);
}

/* How long a flow in that state lives without a frame. */
static __always_inline __u64 flow_timeout(__u8 state, __u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		break;
	case IPPROTO_UDP:
		return flow_config.udp;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return flow_config.icmp;
	default:
		return flow_config.other;
	}
	switch (state) {
	case FLOW_ESTABLISHED:
		return flow_config.tcp_established;
	case FLOW_CLOSING:
		return flow_config.tcp_closing;
	case FLOW_CLOSED:
		return flow_config.tcp_closed;
	case FLOW_RESET:
		return RESET_KEPT;
	default:
		return flow_config.tcp_opening;
	}
}

/* A frame of it has come. What is stored is forgotten by verifiers, who would follow each time-out on its own. */
static __always_inline void flow_seen(struct flow *flow, __u8 protocol, __u64 now)
{
	flow->until = now + flow_timeout(flow->state, protocol);
}

static __always_inline bool flow_lives(const struct flow *flow, __u64 now)
{
	return (__s64)(now - flow->until) <= 0;
}

/*
 * Call something for the flow of that key, in either map, if there is one whose time isn't over. The two are kept apart,
 * also from LLVM, which would share the call: to a verifier, a pointer into one map or another is none.
 */
#define FLOW_WITH(key, now, something) \
	do { \
		struct flow *flow = bpf_map_lookup_elem(&flows, key); \
\
		if (flow && flow_lives(flow, now)) { \
			__attribute__((nomerge)) something; \
			break; \
		} \
		flow = bpf_map_lookup_elem(&openings, key); \
		if (flow && flow_lives(flow, now)) { \
			__attribute__((nomerge)) something; \
			break; \
		} \
	} while (0)

/* A flow begins, in the place of one that is over. */
FLOW_FUNCTION void flow_begin(const struct flow_key *key, const struct flow *begun)
{
	bpf_map_delete_elem(&flows, key);
	bpf_map_update_elem(&openings, key, begun, BPF_ANY);
}

/* A flow moves from those that have only begun to those that are kept. */
static __always_inline void flow_keep(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&openings, key), kept;

	if (!flow)
		return;
	kept = *flow;
	bpf_map_update_elem(&flows, key, &kept, BPF_ANY);
	bpf_map_delete_elem(&openings, key);
}

/* Note that frames come. A box that has just started, or got its line back after that long, learns for a while. */
static __always_inline void flow_keep_time(__u64 now)
{
	__u32 zero = 0;
	struct flow_clock *clock = bpf_map_lookup_elem(&flow_clock, &zero);

	if (!clock || (clock->seen && (__s64)(now - clock->seen) < (__s64)SECOND))
		return;
	if ((!clock->seen || now - clock->seen > flow_config.grace + SECOND) && clock->learn != LEARN_NEVER)
		clock->learn = now + flow_config.grace;
	clock->seen = now;
}

static __always_inline bool flow_learning(__u64 now)
{
	__u32 zero = 0;
	struct flow_clock *clock = bpf_map_lookup_elem(&flow_clock, &zero);

	return clock && clock->learn != LEARN_NEVER && (__s64)(clock->learn - now) > 0;
}

/* What doesn't fit the flow that it names. Of a line that carries one direction only nobody can say that. */
static __always_inline __u32 flow_refused(struct frame *frame)
{
	frame->ct_commit = COMMIT_NOTHING;
	return flow_config.asymmetric ? CT_UNTRACKED : CT_INVALID;
}

/*
 * A frame of no flow that opens none. From outside nobody asked for it; but a box that learns can't know that, nor one
 * that doesn't see the other direction. What the inside sends is taken as it is, and its connection learned.
 */
static __always_inline __u32 flow_unknown(struct frame *frame, __u32 commit)
{
	if (flow_config.asymmetric)
		return CT_UNTRACKED;
	if (frame->way == WAY_IN && !flow_learning(frame_time(frame)))
		return CT_INVALID;
	frame->ct_commit = commit;
	return CT_NEW;
}

#endif
