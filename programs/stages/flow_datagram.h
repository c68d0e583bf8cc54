/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Flows of datagrams: UDP (RFC 4787), and every other protocol by its addresses alone.
 *
 * The first frame opens, whoever sends it. What the inside opened is kept as soon as it is answered. What the outside
 * opened is answered as soon as the inside speaks, and kept once the outside goes on with it: who forges addresses never
 * hears the answer, and hardly ever sends from one of them twice.
 */
#ifndef TIDEGATE_FLOW_DATAGRAM_H
#define TIDEGATE_FLOW_DATAGRAM_H

#include "flow.h"

static __always_inline __u32 track_datagram(struct frame *frame)
{
	__u64 now = frame_time(frame);
	struct flow_key key;
	struct flow *flow;

	flow_key(frame, &key);
	flow = flow_find(&key, now);
	if (!flow) {
		frame->ct_commit = COMMIT_OPEN;
		return CT_NEW;
	}
	flow->seen = now;
	switch (flow->state) {
	case FLOW_OPENING:
		if (frame->way == flow->opener)
			return CT_NEW;
		frame->ct_commit = flow->opener == WAY_OUT ? COMMIT_ESTABLISH : COMMIT_ANSWER;
		return CT_ESTABLISHED;
	case FLOW_ANSWERED:
		if (frame->way == flow->opener)
			frame->ct_commit = COMMIT_ESTABLISH;
		return CT_ESTABLISHED;
	default:
		return CT_ESTABLISHED;
	}
}

static __always_inline void commit_datagram(struct frame *frame, struct flow_key *key, __u32 action)
{
	struct flow *flow, begun = {};

	if (action == COMMIT_OPEN) {
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
