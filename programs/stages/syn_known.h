/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which clients have proved themselves by a reset, and which servers' clients may have cookies.
 *
 * Where no cookie was ever given there are no flows, and nobody looks for one: a segment of a connection with such a
 * server costs a look at two entries. Servers whose places are the same are looked at together.
 */
#ifndef TIDEGATE_SYN_KNOWN_H
#define TIDEGATE_SYN_KNOWN_H

#include "stage.h"
#include "syn_cookies.h"

#define GIVEN_BITS 12
#define GOLDEN_RATIO 0x9e3779b97f4a7c15ULL /* of 2**64: Knuth, volume 3, section 6.4 */

EXTERN_MAP(BPF_MAP_TYPE_LRU_HASH, struct address, __u64, syn_known); /* host: until when, in nanoseconds */

/* server: when its clients were given a cookie last, to the second, in nanoseconds */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << GIVEN_BITS);
	__type(key, __u32);
	__type(value, __u64);
} syn_given SEC(".maps");

static __always_inline __u64 *given_by(const struct address *address, __u32 port)
{
	__u64 server = address->high ^ address->low ^ (__u64)port << 48;
	__u32 place = server * GOLDEN_RATIO >> (64 - GIVEN_BITS);

	return bpf_map_lookup_elem(&syn_given, &place);
}

static __always_inline int were_ever_given(const struct frame *frame)
{
	__u64 *there = given_by(&frame->destination, frame->destination_port);
	__u64 *here = given_by(&frame->source, frame->source_port);

	return there && here && (*there | *here);
}

static __always_inline void cookies_given(struct frame *frame)
{
	__u64 *last = given_by(&frame->destination, frame->destination_port), now = frame_time(frame);

	if (last && (!*last || now - *last > SECOND))
		*last = now;
}

static __always_inline int were_cookies_given(struct frame *frame)
{
	__u64 *last = given_by(&frame->destination, frame->destination_port);

	/* signed: another worker may have written a later time */
	return last && *last && (__s64)(frame_time(frame) - *last) < (__s64)(LIFE_OF_COOKIES + SECOND);
}

/* Whose an address is: a /64 in IPv6. Low halves that aren't 0 keep IPv4 apart. */
static __always_inline struct address host(const struct frame *frame)
{
	struct address host = frame->source;

	if (frame->version == VERSION_6)
		host.low = 0;
	return host;
}

static __always_inline int is_known(struct frame *frame)
{
	struct address key = host(frame);
	__u64 *until = bpf_map_lookup_elem(&syn_known, &key);

	return until && *until > frame_time(frame);
}

static __always_inline void remember(struct frame *frame, __u64 until)
{
	struct address key = host(frame);

	bpf_map_update_elem(&syn_known, &key, &until, BPF_ANY);
}

#endif
