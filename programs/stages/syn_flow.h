/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A connection of which the box made one half and the server the other, and the translation between them.
 *
 *     client                          box                           server
 *        numbers of the cookie   <-   + delta          sequence        own numbers
 *        numbers of the cookie   ->   - delta   acknowledgement, SACK  own numbers
 *        stamps of the cookie    <-   + stamp_delta      TSval         own stamps
 *        stamps of the cookie    ->   - stamp_delta      TSecr         own stamps
 *
 * What the client counts itself nobody changes. Windows change where the server scales otherwise than the client was
 * told.
 */
#ifndef TIDEGATE_SYN_FLOW_H
#define TIDEGATE_SYN_FLOW_H

#include "tcp_segment.h"

#define OPENING 1 /* the server has been asked */
#define OPEN 2    /* it has answered */

#define END_OF_CLIENT 1
#define END_OF_SERVER 2
#define BOTH_ENDS 3

/* A connection by where its ends are: the same for both ways. Both ports are one word, written at once, as it is hashed. */
struct syn_flow_key {
	struct address outside;
	struct address inside;
	__u64 ports;
};

struct syn_flow {
	__u64 until;       /* nanoseconds: nobody remembers it afterwards */
	__u32 first;       /* the client's initial sequence number */
	__u32 cookie;      /* the one that the client was told */
	__u32 server;      /* the one that the server chose */
	__u32 delta;       /* cookie - server */
	__u32 stamp;       /* the time stamp that the client was told; 0: none */
	__u32 stamp_delta; /* what makes the server's stamps go on from there */
	__u32 next;        /* the client has sent a SYN with another number since: it will be `first` of another flow */
	__u8 state;
	__u8 client_way;
	__u8 ends;         /* of which ends a FIN was seen; of both after a reset */
	__u8 is_asked;     /* whether there is such a SYN */
	__u8 client_shift; /* of windows: what the client said */
	__u8 client_left;  /* what its windows must be multiplied by, as a shift */
	__u8 server_left;  /* the same of the server's, */
	__u8 server_right; /* which are then divided by this */
};

static __always_inline void write_key(struct syn_flow_key *key, const struct address *outside, __u32 outside_port,
				      const struct address *inside, __u32 inside_port)
{
	key->outside = *outside;
	key->inside = *inside;
	key->ports = (__u64)outside_port << 32 | inside_port;
}

static __always_inline void make_key(const struct frame *frame, struct syn_flow_key *key)
{
	if (frame->way == WAY_IN)
		write_key(key, &frame->source, frame->source_port, &frame->destination, frame->destination_port);
	else
		write_key(key, &frame->destination, frame->destination_port, &frame->source, frame->source_port);
}

static __always_inline __u32 scaled(__u32 window, __u32 left, __u32 right)
{
	__u64 bytes = ((__u64)window << (left & 15)) >> (right & 15);

	return bytes > FULL_WINDOW ? FULL_WINDOW : bytes;
}

/* What changes add to the checksum; what stands at odd offsets counts with its bytes swapped (RFC 1071, section 2). */
struct changes {
	__u64 even;
	__u64 odd;
};

static __always_inline void note(struct changes *changes, __u32 offset, __u32 from, __u32 to)
{
	if (offset & 1)
		changes->odd += change(from, to);
	else
		changes->even += change(from, to);
}

/* Add to the word at that offset of the TCP header. */
static __always_inline int add_to_word(struct xdp_md *context, struct frame *frame, __u32 offset, __u32 delta,
				       struct changes *changes)
{
	__be32 from, to;

	if (bpf_xdp_load_bytes(context, frame->layer4 + offset, &from, sizeof(from)))
		return -1;
	to = bpf_htonl(bpf_ntohl(from) + delta);
	note(changes, offset, from, to);
	return bpf_xdp_store_bytes(context, frame->layer4 + offset, &to, sizeof(to)) ? -1 : 0;
}

/* Options in any order. */
static __noinline int translate_options(struct xdp_md *context, struct frame *frame, const struct syn_flow *flow,
					int from_client, struct changes *changes)
{
	struct options *options = frame_options();
	__u32 block;

	if (!options || syn_read_options(context, frame))
		return -1;
	if (options->stamps_at && flow->stamp &&
	    add_to_word(context, frame, options->stamps_at + (from_client ? 4 : 0),
			from_client ? -flow->stamp_delta : flow->stamp_delta, changes))
		return -1;
	if (!from_client || !options->sack_at)
		return 0;
	for (block = 0; block < 4; block++) {
		if (block >= options->blocks)
			break;
		if (add_to_word(context, frame, options->sack_at + 8 * block, -flow->delta, changes) ||
		    add_to_word(context, frame, options->sack_at + 8 * block + 4, -flow->delta, changes))
			return -1;
	}
	return 0;
}

/* The usual: nothing but time stamps, or nothing at all. Answers 1 if it is otherwise. */
static __always_inline int translate_stamps(struct xdp_md *context, struct frame *frame, const struct syn_flow *flow,
					    int from_client, struct changes *changes)
{
	__u32 size = frame->payload - frame->layer4;
	__be32 *words, to;

	if (size == TCP_HEADER)
		return 0;
	if (size != TCP_HEADER + 12)
		return 1;
	words = frame_bytes(context, frame->layer4 + TCP_HEADER, 12);
	if (!words || words[0] != OPTION_STAMPS)
		return 1;
	if (!flow->stamp)
		return 0;
	if (from_client) {
		to = bpf_htonl(bpf_ntohl(words[2]) - flow->stamp_delta);
		changes->even += change(words[2], to);
		words[2] = to;
	} else {
		to = bpf_htonl(bpf_ntohl(words[1]) + flow->stamp_delta);
		changes->even += change(words[1], to);
		words[1] = to;
	}
	return 0;
}

/* One segment of an open connection. Answers 0, or -1 for one that can't be read. */
static __always_inline int translate(struct xdp_md *context, struct frame *frame, const struct syn_flow *flow,
				     int from_client)
{
	struct changes changes = {};
	struct tcphdr *tcp;
	__be32 number;
	__be16 window;

	if (translate_stamps(context, frame, flow, from_client, &changes) &&
	    translate_options(context, frame, flow, from_client, &changes))
		return -1;
	tcp = frame_bytes(context, frame->layer4, sizeof(*tcp));
	if (!tcp)
		return -1;
	if (!from_client) {
		frame->tcp_sequence += flow->delta; /* what is asked next sees the client's connection */
		number = bpf_htonl(frame->tcp_sequence);
		changes.even += change(tcp->seq, number);
		tcp->seq = number;
		frame->tcp_window = scaled(frame->tcp_window, flow->server_left, flow->server_right);
		window = bpf_htons(frame->tcp_window);
	} else {
		if (frame->tcp_flags & TCP_ACK) {
			number = bpf_htonl(frame->tcp_acknowledgement - flow->delta);
			changes.even += change(tcp->ack_seq, number);
			tcp->ack_seq = number;
		}
		window = bpf_htons(scaled(frame->tcp_window, flow->client_left, 0));
	}
	changes.even += change(tcp->window, window);
	tcp->window = window;
	if (changes.odd)
		changes.even += __builtin_bswap16(fold(changes.odd));
	tcp->check = changed(tcp->check, changes.even);
	return 0;
}

#endif
