/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Answers a frame that a rule rejects (`action: reject`), in the name of whom it is for: a TCP reset, or an ICMP error.
 *
 *     frame   | Ethernet, VLAN tags | IP … | TCP | …      reset   | the same, turned | IP | TCP |
 *                                                         error   | the same, turned | IP | ICMP | IP … | … |
 *
 * An answer is sent only to where a single host can have it (RFC 1122 section 3.2.2, RFC 4443 section 2.4): not to a
 * reset or an error, not for a later fragment, nor for what was sent to many, by IP or by Ethernet, or came from many.
 * What came in a tunnel has no answer: it would have to go back through the tunnel, whose ends aren't ours.
 * How many answers there are in a second is the rule's to say; whoever forges a source has them sent to that source.
 */
#include "checksum.h"
#include "link.h"

/* of frame->reject, appliance/rules/code/acting.py says the same */
#define REJECT_RESET 1 /* TCP; what isn't is dropped */
#define REJECT_PORT 2  /* ICMP: port unreachable */
#define REJECT_ADMIN 3 /* ICMP: communication administratively prohibited */
#define REJECT_EITHER 4 /* TCP is reset, all else finds its port unreachable */

#define PROTOCOL_ICMP 1
#define PROTOCOL_ICMPV6 58
#define DONT_FRAGMENT 0x4000

#define ICMP_UNREACHABLE 3 /* RFC 792 */
#define ICMP_PORT 3
#define ICMP_ADMIN 13        /* RFC 1812 section 5.2.7.1 */
#define ICMPV6_UNREACHABLE 1 /* RFC 4443 section 3.1 */
#define ICMPV6_PORT 4
#define ICMPV6_ADMIN 1
#define ICMPV6_FIRST_QUERY 128 /* types below are errors */
#define ICMPV6_REDIRECT 137

/* Bytes of the packet that an error quotes: IPv4's whole is not above 576 (RFC 1812 section 4.3.2.3), IPv6's not above
 * 1280 (RFC 4443 section 2.4). */
#define QUOTE_4 548
#define QUOTE_6 1232

struct icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 unused;
};

/* An error, or a redirect, which RFC 1122 counts among them. */
static __always_inline int is_error(struct frame *frame)
{
	__u32 type = frame->icmp_type;

	if (frame->transport == PROTOCOL_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return frame->transport == PROTOCOL_ICMPV6 && (type < ICMPV6_FIRST_QUERY || type == ICMPV6_REDIRECT);
}

/* Whether an address is a single host's: not multicast or broadcast, and not 0 or the loopback's. */
static __always_inline int is_host(struct frame *frame, struct address *address)
{
	__u32 v4 = address->low;

	if (frame->version == VERSION_4)
		return v4 >> 28 < 0xe && v4 >> 24 && v4 >> 24 != 127;
	return address->high >> 56 != 0xff && (address->high || address->low > 1);
}

static __always_inline int may_answer(struct xdp_md *context, struct frame *frame)
{
	struct ethernet *ethernet = frame_bytes(context, 0, sizeof(*ethernet));

	if (!ethernet || (ethernet->destination[0] | ethernet->source[0]) & 1)
		return 0;
	if (frame->version != VERSION_4 && frame->version != VERSION_6)
		return 0;
	if (frame->fragment_offset || is_error(frame) || !is_outermost(context, frame))
		return 0;
	return is_host(frame, &frame->source) && is_host(frame, &frame->destination);
}

static __always_inline __u64 halves(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

/* The sum over both addresses, of an address the same whichever way round. */
static __always_inline __u64 sum_of_addresses(struct frame *frame)
{
	if (frame->version == VERSION_4)
		return bpf_htonl(frame->source.low) + (__u64)bpf_htonl(frame->destination.low);
	return halves(bpf_cpu_to_be64(frame->source.high)) + halves(bpf_cpu_to_be64(frame->source.low)) +
	       halves(bpf_cpu_to_be64(frame->destination.high)) + halves(bpf_cpu_to_be64(frame->destination.low));
}

/* An IP header before `size` bytes of that protocol, from whom the frame is for to whom it is from. */
static __always_inline int write_ip(struct xdp_md *context, struct frame *frame, __u8 protocol, __u32 size)
{
	if (frame->version == VERSION_4) {
		struct ipv4 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));
		__u64 sum = 0;

		if (!ip)
			return 0;
		ip->version_length = 0x45;
		ip->service = 0;
		ip->length = bpf_htons(sizeof(*ip) + size);
		ip->identification = 0;
		ip->fragment = bpf_htons(DONT_FRAGMENT);
		ip->ttl = FRESH_TTL;
		ip->protocol = protocol;
		ip->checksum = 0;
		ip->source = bpf_htonl(frame->destination.low);
		ip->destination = bpf_htonl(frame->source.low);
		for (int i = 0; i < 10; i++)
			sum += ((__u16 *)ip)[i];
		ip->checksum = ~fold(sum);
	} else {
		struct ipv6 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));

		if (!ip)
			return 0;
		ip->version_class_flow = bpf_htonl(6U << 28);
		ip->payload_length = bpf_htons(size);
		ip->next = protocol;
		ip->hop_limit = FRESH_TTL;
		ip->source[0] = bpf_htonl(frame->destination.high >> 32);
		ip->source[1] = bpf_htonl(frame->destination.high);
		ip->source[2] = bpf_htonl(frame->destination.low >> 32);
		ip->source[3] = bpf_htonl(frame->destination.low);
		ip->destination[0] = bpf_htonl(frame->source.high >> 32);
		ip->destination[1] = bpf_htonl(frame->source.high);
		ip->destination[2] = bpf_htonl(frame->source.low >> 32);
		ip->destination[3] = bpf_htonl(frame->source.low);
	}
	return 1;
}

/* RFC 9293 section 3.10.7.1: a reset that the sender accepts, whatever it has sent. */
static __always_inline int reset(struct xdp_md *context, struct frame *frame)
{
	__u32 header = frame->version == VERSION_4 ? sizeof(struct ipv4) : sizeof(struct ipv6);
	__u32 flags = frame->tcp_flags, behind;
	struct ethernet *ethernet;
	struct tcp *tcp;
	__u64 sum = 0;

	if (flags & TCP_RST)
		return XDP_DROP;
	if (bpf_xdp_adjust_tail(context, (int)(frame->layer3 + header + sizeof(*tcp) - frame->length)))
		return XDP_DROP;
	ethernet = frame_bytes(context, 0, sizeof(*ethernet));
	if (!ethernet)
		return XDP_DROP;
	turn_link(ethernet);
	if (!write_ip(context, frame, PROTOCOL_TCP, sizeof(*tcp)))
		return XDP_DROP;
	tcp = frame_bytes(context, frame->layer3 + header, sizeof(*tcp));
	if (!tcp)
		return XDP_DROP;
	behind = frame->tcp_sequence + frame->payload_length + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	tcp->source = bpf_htons(frame->destination_port);
	tcp->destination = bpf_htons(frame->source_port);
	tcp->sequence = flags & TCP_ACK ? bpf_htonl(frame->tcp_acknowledgement) : 0;
	tcp->acknowledgement = flags & TCP_ACK ? 0 : bpf_htonl(behind);
	tcp->header_length = sizeof(*tcp) / 4 << 4;
	tcp->flags = flags & TCP_ACK ? TCP_RST : TCP_RST | TCP_ACK;
	tcp->window = tcp->checksum = tcp->urgent = 0;
	for (int i = 0; i < 10; i++)
		sum += ((__u16 *)tcp)[i];
	sum += sum_of_addresses(frame) + bpf_htons(PROTOCOL_TCP) + bpf_htons(sizeof(*tcp));
	tcp->checksum = ~fold(sum);
	return XDP_TX;
}

/* The sum over `size` bytes of the packet. */
static __always_inline __u64 sum_of_bytes(struct xdp_md *context, __u64 offset, __u32 size)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < QUOTE_6 / 8; i++) {
		__u64 *word = frame_bytes(context, offset, 8);

		if (size < 8 || !word)
			break;
		sum += halves(*word);
		offset += 8;
		size -= 8;
	}
	for (__u32 i = 0; i < 7; i++) {
		__u8 *byte = frame_bytes(context, offset + i, 1);

		if (i >= size || !byte)
			break;
		sum += (__u64)*byte << (i & 1) * 8;
	}
	return sum;
}

/* Make room between Ethernet and IP, which has moved back by `room` then. */
static __always_inline int make_room(struct xdp_md *context, struct frame *frame, __u32 room)
{
	if (bpf_xdp_adjust_head(context, -(int)room))
		return 0;
	for (__u32 i = 0; i < LARGEST_LINK; i++) {
		__u8 *from = frame_bytes(context, i + room, 1), *to = frame_bytes(context, i, 1);

		if (i >= frame->layer3 || !from || !to)
			break;
		*to = *from;
	}
	return 1;
}

static __always_inline int unreachable(struct xdp_md *context, struct frame *frame, int is_admin)
{
	int is_v4 = frame->version == VERSION_4;
	__u32 header = is_v4 ? sizeof(struct ipv4) : sizeof(struct ipv6), room = header + sizeof(struct icmp);
	__u32 most = is_v4 ? QUOTE_4 : QUOTE_6, quote = frame->length - frame->layer3;
	struct ethernet *ethernet;
	struct icmp *icmp;
	__u64 sum;

	if (quote > frame->ip_length)
		quote = frame->ip_length; /* what Ethernet has padded isn't quoted */
	if (quote > most)
		quote = most;
	if (bpf_xdp_adjust_tail(context, (int)(frame->layer3 + quote - frame->length)))
		return XDP_DROP;
	if (!make_room(context, frame, room))
		return XDP_DROP;
	ethernet = frame_bytes(context, 0, sizeof(*ethernet));
	if (!ethernet)
		return XDP_DROP;
	turn_link(ethernet);
	if (!write_ip(context, frame, is_v4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6, sizeof(*icmp) + quote))
		return XDP_DROP;
	sum = sum_of_bytes(context, frame->layer3 + room, quote);
	icmp = frame_bytes(context, frame->layer3 + header, sizeof(*icmp));
	if (!icmp)
		return XDP_DROP;
	icmp->type = is_v4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE;
	icmp->code = is_v4 ? (is_admin ? ICMP_ADMIN : ICMP_PORT) : (is_admin ? ICMPV6_ADMIN : ICMPV6_PORT);
	icmp->checksum = 0;
	icmp->unused = 0;
	sum += *(__u16 *)icmp;
	if (!is_v4)
		sum += sum_of_addresses(frame) + bpf_htons(PROTOCOL_ICMPV6) + bpf_htons(sizeof(*icmp) + quote);
	icmp->checksum = ~fold(sum);
	return XDP_TX;
}

STAGE(reject)
{
	if (!frame || !may_answer(context, frame))
		return XDP_DROP;
	if (frame->transport == PROTOCOL_TCP && (frame->reject == REJECT_RESET || frame->reject == REJECT_EITHER))
		return reset(context, frame);
	if (frame->reject == REJECT_RESET)
		return XDP_DROP;
	return unreachable(context, frame, frame->reject == REJECT_ADMIN);
}
