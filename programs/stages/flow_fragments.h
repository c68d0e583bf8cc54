/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Packets in fragments: only the first one has ports, so all others are to a connection what that one was.
 *
 * A first fragment that passes is remembered for some seconds. One that comes before it has nobody who speaks for it: it
 * is `invalid` from outside (`flow_unknown`), and the packet is lost. Linux sends fragments in their order.
 */
#ifndef TIDEGATE_FLOW_FRAGMENTS_H
#define TIDEGATE_FLOW_FRAGMENTS_H

#include "flow.h"

struct fragment_key {
	struct address source;
	struct address destination;
	__u32 id;
	__u16 protocol; /* 0 in IPv6, whose fragments needn't agree on it (RFC 8200 section 4.5) */
	__u16 version;
};

struct fragment {
	__u64 seen;
	__u64 state; /* CT_* of the first */
};

EXTERN_MAP(BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment, fragments);

static __always_inline void fragment_key(const struct frame *frame, struct fragment_key *key)
{
	key->source = frame->source;
	key->destination = frame->destination;
	key->id = frame->fragment_id;
	key->protocol = frame->version == VERSION_4 ? frame->protocol : 0;
	key->version = frame->version;
}

static __always_inline __u32 track_fragment(struct frame *frame)
{
	struct fragment_key key;
	struct fragment *first;

	if (frame->protocol == IPPROTO_TCP && frame->fragment_offset < 16)
		return CT_INVALID; /* it would write over the flags of TCP: RFC 3128 */
	fragment_key(frame, &key);
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first || (__s64)(frame_time(frame) - first->seen) > (__s64)flow_config.fragments)
		return flow_unknown(frame, COMMIT_NOTHING);
	return first->state;
}

static __always_inline void commit_fragment(struct frame *frame)
{
	struct fragment first = { .seen = frame_time(frame), .state = frame->ct_state };
	struct fragment_key key;

	fragment_key(frame, &key);
	bpf_map_update_elem(&fragments, &key, &first, BPF_ANY);
}

#endif
