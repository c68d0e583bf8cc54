/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Flows of TCP: handshake, transfer, close (RFC 9293, RFC 5382).
 */
#ifndef TIDEGATE_FLOW_TCP_H
#define TIDEGATE_FLOW_TCP_H

#include "flow.h"

#define TCP_HANDSHAKE (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)

/* A segment of no flow: a SYN opens one. */
static __always_inline __u32 track_tcp_unknown(struct frame *frame)
{
	if ((frame->tcp_flags & TCP_HANDSHAKE) == TCP_SYN) {
		frame->ct_commit = COMMIT_OPEN;
		return CT_NEW;
	}
	return flow_unknown(frame, frame->tcp_flags & TCP_RST ? COMMIT_NOTHING : COMMIT_LEARN);
}

static __always_inline __u32 track_tcp(struct frame *frame)
{
	__u64 now = frame_time(frame);
	struct flow_key key;
	struct flow *flow;

	flow_key(frame, &key);
	flow = flow_find(&key, now);
	if (!flow)
		return track_tcp_unknown(frame);
	if ((frame->tcp_flags & TCP_HANDSHAKE) == TCP_SYN) {
		if (frame->way == WAY_OUT || flow->state >= FLOW_CLOSED)
			frame->ct_commit = COMMIT_OPEN;
		return CT_NEW;
	}
	flow->seen = now;
	switch (flow->state) {
	case FLOW_OPENING:
		if (frame->way == flow->opener)
			return CT_NEW;
		frame->ct_commit = COMMIT_ANSWER;
		return CT_ESTABLISHED;
	case FLOW_ANSWERED:
		if (frame->way == flow->opener)
			frame->ct_commit = COMMIT_ESTABLISH;
		return CT_ESTABLISHED;
	default:
		return CT_ESTABLISHED;
	}
}

static __always_inline void commit_tcp(struct xdp_md *context, struct frame *frame, struct flow_key *key, __u32 action)
{
	struct flow *flow, begun = {};

	if (action == COMMIT_OPEN || action == COMMIT_LEARN) {
		begun.seen = frame_time(frame);
		begun.state = FLOW_OPENING;
		begun.opener = frame->way;
		flow_begin(key, &begun);
		return;
	}
	flow = bpf_map_lookup_elem(&openings, key);
	if (!flow)
		return;
	if (action == COMMIT_ANSWER)
		flow->state = FLOW_ANSWERED;
	else
		flow_establish(key, flow);
}

#endif
