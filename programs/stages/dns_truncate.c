/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * For a DNS server under a flood of forged questions: beyond so many a second, a question over UDP is answered here, with
 * nothing but the bit that says "truncated". A resolver asks again over TCP (RFC 7766 section 5), where a forged source
 * can't follow; what the box sends is no larger than the question.
 *
 *     stages:
 *       - {id: dns, object: dns_truncate.bc, program: dns_truncate, constants: {dns_truncate_above: 5000}}
 */
#include "reply.h"

#define DNS_PORT 53
#define LONGEST_NAME 255 /* bytes, RFC 1035 section 2.3.4 */
#define MOST_LABELS 128

extern const __u32 dns_truncate_above; /* questions in a second, over all servers behind the box */

struct dns {
	__be16 id;
	__be16 flags;
	__be16 questions;
	__be16 answers;
	__be16 authorities;
	__be16 additional;
};

#define DNS_RESPONSE 0x8000
#define DNS_TRUNCATED 0x0200
#define DNS_KEPT 0x7900 /* of the question's flags: the operation, and that recursion is desired */
#define DNS_OPCODE 0x7800

struct second {
	__u64 number;
	__u64 questions;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct second);
	__uint(max_entries, 1);
} dns_truncate_second SEC(".maps");

/* Whether this question is one too many. Workers that meet at the change of a second may count a few less. */
static __always_inline int is_too_many(__u64 now)
{
	__u64 number = now / SECOND;
	__u32 zero = 0;
	struct second *second = bpf_map_lookup_elem(&dns_truncate_second, &zero);

	if (!second)
		return 0;
	if (second->number != number) {
		second->number = number;
		second->questions = 0;
	}
	return __sync_fetch_and_add(&second->questions, 1) >= dns_truncate_above;
}

/* Bytes of the header and its one question; 0 if that isn't what stands there. */
static __always_inline __u32 question_size(struct xdp_md *context, struct frame *frame)
{
	__u32 at = sizeof(struct dns);

	for (int i = 0; i < MOST_LABELS; i++) {
		__u8 *length = frame_bytes(context, frame->payload + at, 1);

		if (!length || *length > 63 || at > sizeof(struct dns) + LONGEST_NAME)
			return 0;
		at += 1 + *length;
		if (!*length)
			return at + 4 <= frame->payload_length ? at + 4 : 0; /* type and class */
	}
	return 0;
}

STAGE(dns_truncate)
{
	__u16 flags;
	struct dns *dns;
	__u32 size;

	if (!frame)
		return NEXT;
	if (frame->way != WAY_IN || frame->transport != PROTOCOL_UDP || frame->destination_port != DNS_PORT)
		return NEXT;
	if (frame->fragment || !is_plain(context, frame) || frame->payload_length < sizeof(*dns))
		return XDP_DROP;
	if (!is_too_many(frame_time(frame)))
		return NEXT;
	dns = frame_bytes(context, frame->payload, sizeof(*dns));
	if (!dns)
		return XDP_DROP;
	flags = bpf_ntohs(dns->flags);
	if (flags & (DNS_RESPONSE | DNS_OPCODE) || dns->questions != bpf_htons(1))
		return XDP_DROP;
	size = question_size(context, frame);
	if (!size)
		return XDP_DROP;
	if (frame->monitored)
		return XDP_TX;
	dns = frame_bytes(context, frame->payload, sizeof(*dns));
	if (!dns)
		return XDP_DROP;
	dns->flags = bpf_htons((flags & DNS_KEPT) | DNS_RESPONSE | DNS_TRUNCATED);
	dns->answers = dns->authorities = dns->additional = 0;
	return turn_around(context, frame) && finish_udp(context, frame, size) ? XDP_TX : XDP_DROP;
}
