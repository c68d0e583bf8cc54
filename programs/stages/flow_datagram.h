/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Flows of datagrams: UDP (RFC 4787), requests of ICMP (RFC 5508), and every other protocol by its addresses alone.
 *
 * The first frame opens, whoever sends it. What the inside opened is kept as soon as it is answered. What the outside
 * opened is answered as soon as the inside speaks, and kept once the outside goes on with it: who forges addresses never
 * hears the answer, and hardly ever sends from one of them twice.
 */
#ifndef TIDEGATE_FLOW_DATAGRAM_H
#define TIDEGATE_FLOW_DATAGRAM_H

#include "flow.h"

/* A frame of a flow that is there. */
FLOW_FUNCTION __u32 track_datagram_of(struct frame *frame, struct flow *flow, __u8 protocol)
{
	flow_seen(flow, protocol, frame_time(frame));
	if (flow->state >= FLOW_ESTABLISHED)
		return CT_ESTABLISHED;
	if (flow->state == FLOW_OPENING && frame->way == flow->opener)
		return CT_NEW;
	if (frame->way == flow->opener || flow->opener == WAY_OUT)
		frame->ct_commit = COMMIT_ESTABLISH;
	else if (flow->state == FLOW_OPENING)
		frame->ct_commit = COMMIT_ANSWER;
	return CT_ESTABLISHED;
}

/* What a frame can be to a flow: its first one, or an answer, or either. */
enum flow_part {
	FLOW_OPENS,
	FLOW_ANSWERS,
	FLOW_EITHER,
};

/* A frame with that key. Of a line that carries one direction nobody knows what is new, but of what can be nothing else. */
static __always_inline __u32 track_datagram(struct frame *frame, const struct flow_key *key, enum flow_part part)
{
	if (flow_config.asymmetric && part != FLOW_OPENS)
		return CT_UNTRACKED;
	FLOW_WITH(key, frame_time(frame), return track_datagram_of(frame, flow, FLOW_PROTOCOL(key)));
	if (part == FLOW_ANSWERS)
		return flow_unknown(frame, COMMIT_NOTHING);
	frame->ct_commit = COMMIT_OPEN;
	return CT_NEW;
}

static __always_inline void commit_datagram(struct frame *frame, struct flow_key *key, __u32 action)
{
	struct flow *flow, begun = {};

	if (action == COMMIT_OPEN) {
		begun.state = FLOW_OPENING;
		flow_seen(&begun, FLOW_PROTOCOL(key), frame_time(frame));
		begun.opener = frame->way & 1;
		__attribute__((nomerge)) flow_begin(key, &begun);
		return;
	}
	flow = bpf_map_lookup_elem(&openings, key);
	if (!flow)
		return;
	if (action == COMMIT_ANSWER) {
		flow->state = FLOW_ANSWERED;
	} else {
		flow->state = FLOW_ESTABLISHED;
		flow_keep(key);
	}
}

#endif
