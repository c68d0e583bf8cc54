/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Turns a question into its answer, in place: whoever asked becomes whom it is for.
 *
 * Addresses and ports change places, and no checksum with them: a sum doesn't know an order. What else changes in a UDP
 * datagram has to go into its checksum.
 */
#ifndef TIDEGATE_REPLY_H
#define TIDEGATE_REPLY_H

#include "checksum.h"
#include "link.h"
#include "packet.h"
#include "stage.h"

#define LARGEST_REPLY 320 /* bytes of UDP payload */

/* Between Ethernet addresses, IP addresses and ports; 0 if the packet ends before. */
static __always_inline int turn_around(struct xdp_md *context, struct frame *frame)
{
	struct ethernet *ethernet = frame_bytes(context, 0, sizeof(*ethernet));
	__be16 *ports;

	if (!ethernet)
		return 0;
	turn_link(ethernet);
	if (frame->version == VERSION_4) {
		struct ipv4 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));
		__be32 source;

		if (!ip)
			return 0;
		source = ip->source;
		ip->source = ip->destination;
		ip->destination = source;
	} else {
		struct ipv6 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));

		if (!ip)
			return 0;
		for (int i = 0; i < 4; i++) {
			__be32 word = ip->source[i];

			ip->source[i] = ip->destination[i];
			ip->destination[i] = word;
		}
		ip->hop_limit = FRESH_TTL;
	}
	ports = frame_bytes(context, frame->layer4, 4);
	if (!ports)
		return 0;
	__be16 port = ports[0];

	ports[0] = ports[1];
	ports[1] = port;
	return 1;
}

/*
 * Whether it can be answered in place: nothing stands between Ethernet and IP but VLAN tags, and nothing between IP and the
 * transport header: no tunnel, no options, no extension headers.
 */
static __always_inline int is_plain(struct xdp_md *context, struct frame *frame)
{
	return is_outermost(context, frame) &&
	       frame->layer4 - frame->layer3 == (frame->version == VERSION_4 ? sizeof(struct ipv4) : sizeof(struct ipv6));
}

/*
 * A UDP datagram in a plain packet whose payload has been written: cut behind `size` bytes of it, with lengths and
 * checksums that are right. 0 if that can't be. The frame only gets shorter, so an answer is never larger than what was asked.
 */
static __always_inline int finish_udp(struct xdp_md *context, struct frame *frame, __u32 size)
{
	__u64 end = frame->payload + size, sum = 0;
	struct udp *udp;

	if (size > LARGEST_REPLY || end > frame->length)
		return 0;
	if (bpf_xdp_adjust_tail(context, (int)(end - frame->length)))
		return 0;
	frame->length = end;
	for (__u32 i = 0; i < LARGEST_REPLY / 2; i++) {
		__u16 *word = frame_bytes(context, frame->payload + 2 * i, 2);
		__u8 *last;

		if (2 * i + 2 > size || !word) {
			last = frame_bytes(context, frame->payload + 2 * i, 1);
			if (2 * i + 1 == size && last)
				sum += *last;
			break;
		}
		sum += *word;
	}
	udp = frame_bytes(context, frame->layer4, sizeof(*udp));
	if (!udp)
		return 0;
	udp->length = bpf_htons(sizeof(*udp) + size);
	udp->checksum = 0;
	sum += udp->source + udp->destination + 2 * (__u64)udp->length + bpf_htons(PROTOCOL_UDP);
	if (frame->version == VERSION_4) {
		struct ipv4 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));
		__u16 *words = (__u16 *)ip;
		__u64 header = 0;

		if (!ip)
			return 0;
		ip->length = bpf_htons(sizeof(*ip) + sizeof(*udp) + size);
		ip->ttl = FRESH_TTL;
		ip->fragment = 0;
		ip->checksum = 0;
		for (int i = 0; i < 10; i++)
			header += words[i];
		ip->checksum = ~fold(header);
		sum += (__u64)ip->source + ip->destination;
	} else {
		struct ipv6 *ip = frame_bytes(context, frame->layer3, sizeof(*ip));

		if (!ip)
			return 0;
		ip->payload_length = udp->length;
		for (int i = 0; i < 4; i++)
			sum += (__u64)ip->source[i] + ip->destination[i];
	}
	udp = frame_bytes(context, frame->layer4, sizeof(*udp));
	if (!udp)
		return 0;
	sum = (__u16)~fold(sum);
	udp->checksum = sum ? sum : 0xffff; /* 0 would say that there is none, RFC 768 */
	return 1;
}

#endif
