/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * ICMP errors about segments of a proxied connection. What they quote has been translated on its way, and is turned back,
 * or whoever sent the segment doesn't know it: no path MTU would be found.
 *
 *     client        router ── error ──────────────── box ────────────────> server
 *                       quotes the server's segment       sequence number - delta
 *
 *     client <─────────────────────────────────────── box ────────── error ── router        server
 *                  acknowledgement + delta                quotes the client's segment
 *
 * A client's sequence numbers are the same on both sides. Of what is quoted behind them (RFC 792 asks for 8 bytes, others
 * quote more) the acknowledgement is turned back, if it is there, and nothing else: nobody looks at it.
 */
#ifndef TIDEGATE_SYN_QUOTED_H
#define TIDEGATE_SYN_QUOTED_H

#include "icmp_kinds.h"
#include "quoted_packet.h"
#include "syn_flow.h"

EXTERN_MAP(BPF_MAP_TYPE_LRU_HASH, struct syn_flow_key, struct syn_flow, syn_flows);

#define QUOTED_SEQUENCE 4 /* bytes into the TCP header */
#define QUOTED_ACKNOWLEDGEMENT 8

/* The connection of the segment that an error quotes, which went against the error's way; NULL if it isn't proxied. */
static __noinline struct syn_flow *flow_of_quoted(struct xdp_md *context, struct frame *frame, struct quoted *quoted)
{
	struct syn_flow_key key;
	__be16 *ports;

	if (!quoted_read(context, frame, quoted) || quoted->protocol != IPPROTO_TCP)
		return (void *)0;
	ports = frame_bytes(context, quoted->offset, 2 * sizeof(*ports));
	if (!ports)
		return (void *)0;
	if (frame->way == WAY_IN)
		write_key(&key, &quoted->destination, bpf_ntohs(ports[1]), &quoted->source, bpf_ntohs(ports[0]));
	else
		write_key(&key, &quoted->source, bpf_ntohs(ports[0]), &quoted->destination, bpf_ntohs(ports[1]));
	return bpf_map_lookup_elem(&syn_flows, &key);
}

/* Any message of ICMP. What connection tracking compares is what the client's side has seen: `quoted_change`. */
static __always_inline int translate_quoted(struct xdp_md *context, struct frame *frame)
{
	struct changes changes = {};
	struct quoted quoted = {};
	struct syn_flow *flow;
	__be16 *checksum;
	__u32 at;

	if (icmp_kind(frame) != ICMP_ERROR || !is_outermost(context, frame))
		return NEXT;
	flow = flow_of_quoted(context, frame, &quoted);
	if (!flow || flow->state != OPEN || flow->until < frame_time(frame))
		return NEXT;
	at = quoted.offset - frame->layer4;
	if (frame->way == flow->client_way) {
		if (add_to_word(context, frame, at + QUOTED_SEQUENCE, -flow->delta, &changes))
			return NEXT;
		frame->quoted_change = -flow->delta;
	} else if (add_to_word(context, frame, at + QUOTED_ACKNOWLEDGEMENT, flow->delta, &changes)) {
		return NEXT;
	}
	checksum = frame_bytes(context, frame->layer4 + 2, sizeof(*checksum));
	if (checksum)
		*checksum = changed(*checksum, changes.even); /* IP headers are of whole words */
	return NEXT;
}

#endif
