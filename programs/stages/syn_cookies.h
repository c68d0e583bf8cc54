/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * SYN cookies: what a client asks for lies in the numbers that it gives back, and nowhere else.
 *
 *     sequence number   hash of addresses, ports, client's number, minute  +  the place of its segment size in a table
 *     TSval             31 … 6 milliseconds   5 0   4 SACK permitted   3 … 0 window shift, or 15
 *
 * The kernel's algorithm: net/ipv4/syncookies.c, where bits of the time stamp are TS_OPT_*. Who offers no time stamps
 * gets neither SACK nor a window scale: there is no place to remember them in.
 */
#ifndef TIDEGATE_SYN_COOKIES_H
#define TIDEGATE_SYN_COOKIES_H

#include "tcp_segment.h"

#define STAMP_BITS 6
#define STAMP_SACK 0x10
#define STAMP_SHIFT 0x0f

#define LIFE_OF_COOKIES (2 * 60 * SECOND) /* the minute that a cookie is made in, and the next */

/* Sizes of segments that cookies stand for: msstab of both families. */
static __always_inline __u32 size_at(__u32 version, __u32 place)
{
	if (version == VERSION_4)
		return place == 0 ? 536 : place == 1 ? 1300 : place == 2 ? 1440 : 1460;
	return place == 0 ? 1220 : place == 1 ? 1420 : place == 2 ? 1440 : 8940;
}

/* The cookie for a client that begins with that number, and takes segments of `mss` bytes; -errno without secrets. */
static __always_inline __s64 make_cookie(struct xdp_md *context, struct frame *frame, __u32 first, __u32 mss)
{
	struct {
		struct tcphdr tcp;
		__be32 option;
	} syn;
	void *ip;

	__builtin_memset(&syn, 0, sizeof(syn));
	syn.tcp.source = bpf_htons(frame->source_port);
	syn.tcp.dest = bpf_htons(frame->destination_port);
	syn.tcp.seq = bpf_htonl(first);
	syn.tcp.doff = sizeof(syn) >> 2;
	syn.option = OPTION_MSS(mss & 0xffff);
	if (frame->version == VERSION_4) {
		ip = frame_bytes(context, frame->layer3, sizeof(struct iphdr));
		return ip ? bpf_tcp_raw_gen_syncookie_ipv4(ip, &syn.tcp, sizeof(syn)) : -1;
	}
	ip = frame_bytes(context, frame->layer3, sizeof(struct ipv6hdr));
	return ip ? bpf_tcp_raw_gen_syncookie_ipv6(ip, &syn.tcp, sizeof(syn)) : -1;
}

/* Whether `cookie` was made for a client that began with `first`. */
static __always_inline int is_cookie(struct xdp_md *context, struct frame *frame, __u32 first, __u32 cookie)
{
	struct tcphdr ack;
	void *ip;

	__builtin_memset(&ack, 0, sizeof(ack));
	ack.source = bpf_htons(frame->source_port);
	ack.dest = bpf_htons(frame->destination_port);
	ack.seq = bpf_htonl(first + 1);
	ack.ack_seq = bpf_htonl(cookie + 1);
	if (frame->version == VERSION_4) {
		ip = frame_bytes(context, frame->layer3, sizeof(struct iphdr));
		return ip && !bpf_tcp_raw_check_syncookie_ipv4(ip, &ack);
	}
	ip = frame_bytes(context, frame->layer3, sizeof(struct ipv6hdr));
	return ip && !bpf_tcp_raw_check_syncookie_ipv6(ip, &ack);
}

/*
 * The size of segments that a cookie stands for. The helper doesn't tell its place in the table, but as many of the next
 * numbers are cookies, too, as there are places behind it.
 */
static __always_inline __u32 size_in_cookie(struct xdp_md *context, struct frame *frame, __u32 first, __u32 cookie)
{
	__u32 place = is_cookie(context, frame, first, cookie + 2) ? 0 : 2;

	if (!is_cookie(context, frame, first, cookie + (place ? 1 : 3)))
		place++;
	return size_at(frame->version, place);
}

/* The time stamp that remembers a client's options: the latest that isn't in the future. */
static __always_inline __u32 make_stamp(__u64 now, const struct options *options)
{
	__u32 milliseconds = now / 1000000;
	__u32 stamp = (milliseconds & ~((1 << STAMP_BITS) - 1)) | (options->shift & STAMP_SHIFT);

	if (options->sack_permitted)
		stamp |= STAMP_SACK;
	return stamp > milliseconds ? stamp - (1 << STAMP_BITS) : stamp;
}

#endif
