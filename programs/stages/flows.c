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
#include "flow_tcp.h"
#include "flow_datagram.h"

static __always_inline __u32 track(struct xdp_md *context, struct frame *frame)
{
	flow_keep_time(frame_time(frame));
	if (!frame->version)
		return CT_UNTRACKED;
	if (frame->transport == IPPROTO_TCP)
		return track_tcp(frame);
	return track_datagram(frame);
}

STAGE(flows_track)
{
	if (!frame)
		return NEXT;
	frame->ct_commit = COMMIT_NOTHING;
	frame->ct_state = track(context, frame);
	return NEXT;
}

static __always_inline void commit(struct xdp_md *context, struct frame *frame)
{
	__u32 action = frame->ct_commit & COMMIT_ACTION;
	struct flow_key key;

	if (!action)
		return;
	flow_key(frame, &key);
	if (frame->transport == IPPROTO_TCP)
		commit_tcp(context, frame, &key, action);
	else
		commit_datagram(frame, &key, action);
}

STAGE(flows_commit)
{
	if (!frame)
		return NEXT;
	commit(context, frame);
	return NEXT;
}
