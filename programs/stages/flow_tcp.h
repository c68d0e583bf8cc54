/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Flows of TCP: handshake, transfer, close (RFC 9293, RFC 5382, RFC 5961).
 *
 *               SYN              SYN-ACK            ACK of it                FIN              the other's FIN
 *     nothing ──────> OPENING ───────────> ANSWERED ──────────> ESTABLISHED ─────> CLOSING ──────────────────> CLOSED
 *                                                    in the map `flows` from here on    RST of the next byte ──> RESET
 *
 * A SYN is `new` whatever is there, so that rules for SYNs see every one; of a connection that lives it changes nothing,
 * the inside's own aside. What the inside sends is true: it begins anew, and is followed wherever it is.
 */
#ifndef TIDEGATE_FLOW_TCP_H
#define TIDEGATE_FLOW_TCP_H

#include "flow.h"
#include "flow_window.h"

#define TCP_CONTROL (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)

/* Whether the flags can stand together: one of SYN, FIN and RST at most, and an ACK beside all but SYN and RST. */
static __always_inline bool tcp_flags_fit(__u32 flags)
{
	switch (flags & TCP_CONTROL) {
	case TCP_SYN:
	case TCP_SYN | TCP_ACK:
	case TCP_RST:
	case TCP_RST | TCP_ACK:
	case TCP_FIN | TCP_ACK:
	case TCP_ACK:
		return true;
	default:
		return false;
	}
}

static __always_inline __u32 track_tcp_unknown(struct frame *frame)
{
	switch (frame->tcp_flags & TCP_CONTROL) {
	case TCP_SYN:
		frame->ct_commit = COMMIT_OPEN;
		return CT_NEW;
	case TCP_SYN | TCP_ACK:
		return flow_unknown(frame, COMMIT_ANSWER);
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		return flow_unknown(frame, COMMIT_NOTHING);
	default:
		return flow_unknown(frame, COMMIT_LEARN);
	}
}

static __always_inline __u32 track_syn(struct frame *frame, const struct flow *flow)
{
	if (flow->state == FLOW_OPENING && frame->way != flow->opener && frame->way == WAY_IN) {
		frame->ct_commit = COMMIT_ANSWER; /* both open at once, RFC 5382 REQ-2 */
		return CT_ESTABLISHED;
	}
	if (frame->way == WAY_OUT || flow->state == FLOW_OPENING || flow->state >= FLOW_CLOSED)
		frame->ct_commit = COMMIT_OPEN;
	return CT_NEW;
}

/* Whether a SYN is all that there is of it. */
static __always_inline bool is_syn_alone(const struct flow *flow)
{
	return flow->state == FLOW_OPENING && !flow->learned;
}

/* Whether a segment acknowledges that SYN, or some of the data in it. */
static __always_inline bool acknowledges_syn(const struct frame *frame, const struct flow *flow)
{
	const struct flow_side *opener = FLOW_SIDE(flow, flow->opener);

	return between(opener->limit, frame->tcp_acknowledgement, opener->end);
}

static __always_inline __u32 track_syn_ack(struct frame *frame, const struct flow *flow)
{
	if (frame->way == flow->opener)
		return frame->way == WAY_OUT || window_holds(flow, frame) ? CT_ESTABLISHED : flow_refused(frame);
	if (is_syn_alone(flow)) {
		if (!acknowledges_syn(frame, flow) && frame->way == WAY_IN)
			return flow_refused(frame);
		frame->ct_commit = COMMIT_ANSWER;
		return CT_ESTABLISHED;
	}
	if (frame->way == WAY_OUT && flow->state >= FLOW_CLOSED)
		frame->ct_commit = COMMIT_ANSWER;
	else if (frame->way == WAY_IN && !window_holds(flow, frame))
		return flow_refused(frame);
	return CT_ESTABLISHED;
}

/* A reset ends a flow only if it names the next byte, as for RFC 5961; elsewhere in the window the host will ask. */
static __always_inline __u32 track_reset(struct frame *frame, const struct flow *flow)
{
	const struct flow_side *sender = FLOW_SIDE(flow, frame->way), *receiver = FLOW_SIDE(flow, ~frame->way);
	__u32 sequence = frame->tcp_sequence;
	bool ends, fits;

	if (is_syn_alone(flow) && frame->way != flow->opener)
		ends = fits = frame->tcp_flags & TCP_ACK && acknowledges_syn(frame, flow);
	else if (is_syn_alone(flow))
		ends = fits = between(sender->end - 1, sequence, sender->end);
	else {
		ends = sequence == sender->end || sequence == receiver->acknowledged;
		fits = between(receiver->acknowledged, sequence, sender->limit);
	}
	if (!fits && frame->way == WAY_IN)
		return flow_refused(frame);
	if (ends)
		frame->ct_commit = COMMIT_RESET;
	return CT_ESTABLISHED;
}

/* A segment while the handshake isn't done. */
static __always_inline __u32 track_handshake(struct frame *frame, struct flow *flow)
{
	bool opens = frame->way == flow->opener;

	if (is_syn_alone(flow)) {
		if (!opens) /* a host that knows of another connection answers a SYN so, and is reset */
			return CT_ESTABLISHED;
		if (frame->way == WAY_IN)
			return flow_refused(frame);
		frame->ct_commit = COMMIT_LEARN;
		return CT_NEW;
	}
	if (!window_holds(flow, frame))
		return flow_unknown(frame, COMMIT_LEARN);
	if (flow->state == FLOW_OPENING && opens) {
		window_advance(flow, frame);
		return CT_NEW;
	}
	if (flow->state == FLOW_ANSWERED && opens && frame->way == WAY_IN &&
	    !after(frame->tcp_acknowledgement, flow->sides[WAY_IN].acknowledged))
		return flow_refused(frame); /* it hasn't heard the SYN-ACK */
	if (flow->state == FLOW_OPENING || opens)
		frame->ct_commit = COMMIT_ESTABLISH;
	window_advance(flow, frame);
	return CT_ESTABLISHED;
}

static __always_inline __u32 track_segment(struct frame *frame, struct flow *flow)
{
	if (flow->state < FLOW_ESTABLISHED)
		return track_handshake(frame, flow);
	if (!window_holds(flow, frame)) {
		__u32 state = flow_unknown(frame, COMMIT_LEARN);

		return state == CT_NEW ? CT_ESTABLISHED : state;
	}
	window_advance(flow, frame);
	if (frame->tcp_flags & TCP_FIN && !(flow->finished & (1 << (frame->way & 1))))
		frame->ct_commit = COMMIT_FINISH;
	return CT_ESTABLISHED;
}

/* A segment of a flow that is there. */
FLOW_FUNCTION __u32 track_tcp_of(struct frame *frame, struct flow *flow)
{
	__u32 state;

	switch (frame->tcp_flags & TCP_CONTROL) {
	case TCP_SYN:
		return track_syn(frame, flow);
	case TCP_SYN | TCP_ACK:
		return track_syn_ack(frame, flow);
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		return track_reset(frame, flow);
	}
	state = track_segment(frame, flow);
	if (state != CT_INVALID)
		flow_seen(flow, IPPROTO_TCP, frame_time(frame));
	return state;
}

/*
 * What nearly every segment is: an acknowledgement, with data or without, in the window of a connection that is
 * established. Written where the flow is found, so that it costs no call, nor a look at what else there could be.
 */
static __always_inline bool goes_on(struct frame *frame, struct flow *flow, __u64 now)
{
	if ((frame->tcp_flags & TCP_CONTROL) != TCP_ACK || flow->state != FLOW_ESTABLISHED || !window_holds(flow, frame))
		return false;
	window_advance(flow, frame);
	flow->until = now + flow_config.tcp_established;
	return true;
}

static __always_inline __u32 track_tcp(struct frame *frame, __u64 now)
{
	struct flow_key key;
	struct flow *flow;

	if (!tcp_flags_fit(frame->tcp_flags))
		return CT_INVALID;
	flow_key(frame, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow && flow_lives(flow, now)) {
		if (goes_on(frame, flow, now))
			return CT_ESTABLISHED;
		__attribute__((nomerge)) return track_tcp_of(frame, flow);
	}
	flow = bpf_map_lookup_elem(&openings, &key);
	if (flow && flow_lives(flow, now))
		__attribute__((nomerge)) return track_tcp_of(frame, flow);
	return track_tcp_unknown(frame);
}

static __always_inline void tcp_open(struct xdp_md *context, struct frame *frame, struct flow_key *key, __u32 action)
{
	struct flow_side *opener;
	struct flow begun = {};

	begun.until = frame_time(frame) + flow_config.tcp_opening;
	begun.state = FLOW_OPENING;
	begun.opener = frame->way & 1;
	if (action == COMMIT_OPEN) {
		window_begin(context, &begun, frame);
	} else if (action == COMMIT_LEARN) {
		begun.learned = 1;
		window_learn(&begun, frame);
	} else { /* an answer to what nobody saw */
		begun.state = FLOW_ANSWERED;
		begun.opener = ~frame->way & 1;
		opener = FLOW_SIDE(&begun, ~frame->way);
		opener->end = frame->tcp_acknowledgement;
		opener->window = 0xffff;
		set_scale(&begun, ~frame->way, TCP_LARGEST_SCALE);
		window_answer(context, &begun, frame);
	}
	__attribute__((nomerge)) flow_begin(key, &begun);
}

static __always_inline void tcp_finish(struct flow *flow, struct frame *frame)
{
	flow->finished |= 1 << (frame->way & 1);
	if (flow->state != FLOW_RESET) /* else it crossed the reset, and has nothing to close */
		flow->state = flow->finished == 3 ? FLOW_CLOSED : FLOW_CLOSING;
}

/* Do that with a flow that is there; 0 if it begins anew instead. */
FLOW_FUNCTION int tcp_change(struct xdp_md *context, struct frame *frame, struct flow *flow, __u32 action)
{
	switch (action) {
	case COMMIT_ANSWER:
		if (flow->state >= FLOW_CLOSED)
			return 0;
		flow->state = FLOW_ANSWERED;
		window_answer(context, flow, frame);
		break;
	case COMMIT_LEARN:
		window_learn(flow, frame);
		if (flow->state < FLOW_ESTABLISHED)
			flow->learned = 1;
		break;
	case COMMIT_ESTABLISH:
		flow->state = FLOW_ESTABLISHED;
		if (frame->tcp_flags & TCP_FIN)
			tcp_finish(flow, frame);
		break;
	case COMMIT_FINISH:
		tcp_finish(flow, frame);
		break;
	case COMMIT_RESET:
		flow->state = FLOW_RESET;
		break;
	}
	flow_seen(flow, IPPROTO_TCP, frame_time(frame));
	return 1;
}

static __always_inline void commit_tcp(struct xdp_md *context, struct frame *frame, struct flow_key *key, __u32 action)
{
	if (action != COMMIT_OPEN) {
		int done = 0;

		FLOW_WITH(key, frame_time(frame), done = tcp_change(context, frame, flow, action));
		if (done && action == COMMIT_ESTABLISH)
			flow_keep(key);
		if (done)
			return;
	}
	if (action == COMMIT_OPEN || action == COMMIT_ANSWER || action == COMMIT_LEARN)
		tcp_open(context, frame, key, action);
}

#endif
