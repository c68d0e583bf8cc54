// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Connection tracking: of every frame, what it is to the connection that it belongs to.
 *
 *     flows_track    before the rules: finds the flow, says `ct_state`, and what is to be done if the frame passes
 *     flows_commit   where the frame passes: does it. What is dropped begins no flow and changes none's state.
 *
 * Both directions of a flow have one key, with the inside's end first: `way` of the frame says who sends.
 */
#include "flow.h"
#include "flow_datagram.h"
#include "flow_fragments.h"
#include "flow_icmp.h"
#include "flow_tcp.h"

static __always_inline bool is_icmp(const struct frame *frame)
{
	return frame->transport == IPPROTO_ICMP || frame->transport == IPPROTO_ICMPV6;
}

static __always_inline __u32 track(struct xdp_md *context, struct frame *frame)
{
	__u64 now = frame_time(frame);
	struct flow_key key;

	flow_keep_time(now);
	if (!frame->version)
		return CT_UNTRACKED;
	if (frame->fragment_offset)
		return track_fragment(frame);
	if (frame->transport == IPPROTO_TCP)
		return track_tcp(frame, now);
	if (is_icmp(frame))
		return track_icmp(context, frame);
	flow_key(frame, &key);
	return track_datagram(frame, &key, FLOW_EITHER);
}

STAGE(flows_track)
{
	if (!frame)
		return NEXT;
	frame->ct_commit = COMMIT_NOTHING;
	frame->ct_state = track(context, frame);
	if (frame->more_fragments && !frame->fragment_offset)
		frame->ct_commit |= COMMIT_FRAGMENT;
	return NEXT;
}

static __always_inline void commit(struct xdp_md *context, struct frame *frame, __u32 action)
{
	struct flow_key key;

	if (frame->transport == IPPROTO_TCP) {
		flow_key(frame, &key);
		commit_tcp(context, frame, &key, action);
	} else if (!is_icmp(frame)) {
		flow_key(frame, &key);
		commit_datagram(frame, &key, action);
	} else if (icmp_key(context, frame, &key)) {
		commit_datagram(frame, &key, action);
	}
}

STAGE(flows_commit)
{
	if (!frame)
		return NEXT;
	if (frame->ct_commit & COMMIT_FRAGMENT)
		commit_fragment(frame);
	if (frame->ct_commit & COMMIT_ACTION)
		commit(context, frame, frame->ct_commit & COMMIT_ACTION);
	return NEXT;
}
