/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Sequence windows: which segments can belong to a connection.
 *
 *                    sender->end - receiver->window          sender->end     sender->limit
 *     ───────────────────────┼──────────── sent ───────────────────┼─── room for ───┼──────────── sequence numbers
 *                            └─ where a segment must end behind    │                │
 *                                                    may begin up to here ──────────┘
 *
 * and it acknowledges nothing that the other side hasn't sent, nor what is long since acknowledged. The bounds are those
 * of Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), as Linux has them (tcp_in_window of
 * nf_conntrack_proto_tcp.c).
 */
#ifndef TIDEGATE_FLOW_WINDOW_H
#define TIDEGATE_FLOW_WINDOW_H

#include "flow.h"

#define TCP_OPTIONS 20          /* where they begin */
#define TCP_OPTION_END 0
#define TCP_OPTION_NOTHING 1
#define TCP_OPTION_SCALE 3
#define TCP_LARGEST_SCALE 14    /* RFC 7323 section 2.3 */
#define TCP_MOST_OPTIONS 40     /* bytes */
#define ACK_WINDOW 66000        /* what an acknowledgement may lag behind at least (MAXACKWINCONST of Linux) */
#define LEARNED_WINDOW (1 << 24) /* bytes, of a connection whose beginning nobody saw */

static __always_inline bool after(__u32 one, __u32 other)
{
	return (__s32)(other - one) < 0;
}

static __always_inline bool between(__u32 low, __u32 number, __u32 high)
{
	return !after(low, number) && !after(number, high);
}

/* Behind what a segment takes of the sequence: its bytes, its SYN, its FIN. */
static __always_inline __u32 segment_end(const struct frame *frame)
{
	return frame->tcp_sequence + frame->payload_length + !!(frame->tcp_flags & TCP_SYN) + !!(frame->tcp_flags & TCP_FIN);
}

static __always_inline __u32 scale_of(const struct flow *flow, __u32 way)
{
	return flow->scales >> (way & 1 ? 4 : 0) & 15;
}

static __always_inline void set_scale(struct flow *flow, __u32 way, __u32 scale)
{
	flow->scales |= scale << (way & 1 ? 4 : 0);
	flow->scaled |= 1 << (way & 1);
}

static __always_inline __u32 segment_window(const struct flow *flow, const struct frame *frame)
{
	return frame->tcp_flags & TCP_SYN ? frame->tcp_window : frame->tcp_window << scale_of(flow, frame->way);
}

/* Whether a segment, not a first one, lies in the window. Here all have an acknowledgement. */
static __always_inline bool window_holds(const struct flow *flow, const struct frame *frame)
{
	const struct flow_side *sender = FLOW_SIDE(flow, frame->way), *receiver = FLOW_SIDE(flow, ~frame->way);
	__u32 end = segment_end(frame), lag = sender->window > ACK_WINDOW ? sender->window : ACK_WINDOW;

	return !after(frame->tcp_sequence, sender->limit) && after(end, sender->end - receiver->window - 1) &&
	       between(receiver->end - lag, frame->tcp_acknowledgement, receiver->end);
}

/* What such a segment says of both sides. */
static __always_inline void window_advance(struct flow *flow, const struct frame *frame)
{
	struct flow_side *sender = FLOW_SIDE(flow, frame->way), *receiver = FLOW_SIDE(flow, ~frame->way);
	__u32 end = segment_end(frame), window = segment_window(flow, frame);
	__u32 limit = frame->tcp_acknowledgement + window;

	if (window > sender->window)
		sender->window = window;
	if (after(end, sender->end))
		sender->end = end;
	if (after(end, sender->limit)) /* more than there was room for: a probe of a window that is shut */
		sender->limit = end;
	if (after(frame->tcp_acknowledgement, sender->acknowledged))
		sender->acknowledged = frame->tcp_acknowledgement;
	if (after(limit, receiver->limit))
		receiver->limit = limit;
}

/* The window scale that a SYN offers, or -1. */
FLOW_FUNCTION int window_scale(struct xdp_md *context, const struct frame *frame)
{
	__u64 place = frame->layer4 + TCP_OPTIONS, end = frame->payload;

	for (int i = 0; i < TCP_MOST_OPTIONS; i++) {
		__u8 *option = frame_bytes(context, place, 1), *rest;

		if (!option || place >= end || *option == TCP_OPTION_END)
			break;
		if (*option == TCP_OPTION_NOTHING) {
			place++;
			continue;
		}
		rest = frame_bytes(context, place, 3);
		if (!rest || rest[1] < 2)
			break;
		if (rest[0] == TCP_OPTION_SCALE && rest[1] == 3)
			return rest[2] > TCP_LARGEST_SCALE ? TCP_LARGEST_SCALE : rest[2];
		place += rest[1];
	}
	return -1;
}

/* The sender's side by its SYN, or by its SYN-ACK. Until it is answered, `limit` is right behind the SYN. */
static __always_inline void window_begin(struct xdp_md *context, struct flow *flow, const struct frame *frame)
{
	struct flow_side *sender = FLOW_SIDE(flow, frame->way);
	int scale = window_scale(context, frame);

	sender->end = segment_end(frame); /* a SYN may carry data: RFC 7413 */
	sender->limit = frame->tcp_sequence + 1;
	sender->window = frame->tcp_window ? frame->tcp_window : 1;
	sender->acknowledged = frame->tcp_acknowledgement;
	if (scale >= 0)
		set_scale(flow, frame->way, scale);
}

/* Both sides by the SYN-ACK that answers: each has as much room as the other has said. */
static __always_inline void window_answer(struct xdp_md *context, struct flow *flow, const struct frame *frame)
{
	struct flow_side *sender = FLOW_SIDE(flow, frame->way), *opener = FLOW_SIDE(flow, ~frame->way);

	window_begin(context, flow, frame);
	sender->limit = sender->end + opener->window;
	opener->limit = frame->tcp_acknowledgement + frame->tcp_window;
	opener->acknowledged = frame->tcp_sequence;
	if (flow->scaled != 3)
		flow->scales = 0;
}

/* Both sides by a segment in the middle, of a connection whose SYNs nobody saw: windows may be scaled by anything. */
static __always_inline void window_learn(struct flow *flow, const struct frame *frame)
{
	struct flow_side *sender = FLOW_SIDE(flow, frame->way), *receiver = FLOW_SIDE(flow, ~frame->way);

	flow->scales = 0;
	set_scale(flow, WAY_IN, TCP_LARGEST_SCALE);
	set_scale(flow, WAY_OUT, TCP_LARGEST_SCALE);
	sender->end = segment_end(frame);
	sender->limit = sender->end + LEARNED_WINDOW;
	sender->window = LEARNED_WINDOW;
	sender->acknowledged = frame->tcp_acknowledgement;
	receiver->end = frame->tcp_acknowledgement;
	receiver->limit = receiver->end + segment_window(flow, frame);
	receiver->window = LEARNED_WINDOW;
	receiver->acknowledged = frame->tcp_sequence;
}

#endif
