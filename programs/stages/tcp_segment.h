/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * TCP segments without data, written in the place of a frame's own, and checksums that follow changes.
 *
 *     | Ethernet … | IP … | TCP | options |         what stood behind is cut, or the frame grows
 *                  ^layer3^layer4
 *
 * Numbers of segments are in host order here, and in network order in headers.
 */
#ifndef TIDEGATE_TCP_SEGMENT_H
#define TIDEGATE_TCP_SEGMENT_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "checksum.h"
#include "link.h"
#include "stage.h"

#define TCP_HEADER 20 /* bytes without options */
#define OPTION_BYTES 40 /* the most that there are */
#define FULL_WINDOW 0xffff

/* Options as words, in network order (RFC 9293 section 3.1, RFC 7323, RFC 2018). */
#define OPTION_MSS(size) bpf_htonl(0x02040000 | (size))
#define OPTION_STAMPS bpf_htonl(0x0101080a)          /* NOP NOP, 10 bytes of time stamps */
#define OPTION_SACK_AND_STAMPS bpf_htonl(0x0402080a) /* SACK permitted, 10 bytes of time stamps */
#define OPTION_NOTHING bpf_htonl(0x01010101) /* NOP, four times */
#define OPTION_SCALE(shift) bpf_htonl(0x01030300 | (shift))

#define MOST_WORDS 5 /* of options, in what is written here */
#define LARGEST_SEGMENT (TCP_HEADER + 4 * MOST_WORDS)

/*
 * A segment to be written: its header's words, but for the checksum, and some of options. Words, as they are read again:
 * a processor waits for memory that it reads in other pieces than it wrote.
 */
struct segment {
	__be32 ports;
	__be32 sequence;
	__be32 acknowledgement;
	__be32 control; /* CONTROL */
	__be32 options[MOST_WORDS];
};

/* Data offset, flags and window; `words` are those of options. */
#define CONTROL(words, flags, window) bpf_htonl((__u32)(5 + (words)) << 28 | (flags) << 16 | (window))
#define SIZE_OF(segment) (bpf_ntohl((segment)->control) >> 28 << 2)

/* What the options of a segment say. Offsets are from the TCP header; 0: isn't there. `bytes` are what is read, with
 * room for what the last one lacks; `at` is how far. */
struct options {
	__u32 stamp; /* TSval */
	__u32 echo;  /* TSecr */
	__u32 stamps_at; /* of TSval */
	__u32 sack_at; /* of the first block */
	__u32 blocks;
	__u32 mss;
	__u32 shift; /* of the window; NO_SHIFT: isn't there */
	__u32 sack_permitted;
	__u32 at;
	__u32 length;
	__u8 bytes[OPTION_BYTES + 16];
};

#define NO_SHIFT 15 /* no shift that RFC 7323 allows */
#define LARGEST_SHIFT 14
#define MOST_OPTIONS 40 /* one byte each is the least */

#define KIND_END 0
#define KIND_NOP 1
#define KIND_MSS 2
#define KIND_SCALE 3
#define KIND_SACK_PERMITTED 4
#define KIND_SACK 5
#define KIND_STAMPS 8

static __always_inline __u32 read_word(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | (__u32)bytes[1] << 16 | (__u32)bytes[2] << 8 | bytes[3];
}

/* The options of the frame at work: in a map, where verifiers don't follow what is known of each. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct options);
} syn_options SEC(".maps");

static __always_inline struct options *frame_options(void)
{
	__u32 place = 0;

	return bpf_map_lookup_elem(&syn_options, &place);
}

static __always_inline void note_option(struct options *found, const __u8 *option, __u32 at, __u32 size)
{
	if (option[0] == KIND_STAMPS && size == 10) {
		found->stamp = read_word(option + 2);
		found->echo = read_word(option + 6);
		found->stamps_at = TCP_HEADER + at + 2;
	} else if (option[0] == KIND_SACK) {
		found->sack_at = TCP_HEADER + at + 2;
		found->blocks = size >> 3;
	} else if (option[0] == KIND_MSS && size == 4) {
		found->mss = option[2] << 8 | option[3];
	} else if (option[0] == KIND_SCALE && size == 3) {
		found->shift = option[2] > LARGEST_SHIFT ? LARGEST_SHIFT : option[2];
	} else if (option[0] == KIND_SACK_PERMITTED && size == 2) {
		found->sack_permitted = 1;
	}
}

/*
 * What most SYNs and SYN-ACKs have, read as words: the segment size, or all four as Linux writes them. Answers 0 if they
 * are others.
 */
static __always_inline int read_usual_options(struct xdp_md *context, const struct frame *frame, struct options *found,
					      __u32 length)
{
	__be32 *words;
	__u32 shift;

	if (length == 4) {
		words = frame_bytes(context, frame->layer4 + TCP_HEADER, 4);
		if (!words || (words[0] & bpf_htonl(0xffff0000)) != OPTION_MSS(0))
			return 0;
		found->mss = bpf_ntohl(words[0]) & 0xffff;
		return 1;
	}
	if (length != 20)
		return 0;
	words = frame_bytes(context, frame->layer4 + TCP_HEADER, 20);
	if (!words || (words[0] & bpf_htonl(0xffff0000)) != OPTION_MSS(0) || words[1] != OPTION_SACK_AND_STAMPS ||
	    (words[4] & bpf_htonl(0xffffff00)) != OPTION_SCALE(0))
		return 0;
	shift = bpf_ntohl(words[4]) & 0xff;
	found->mss = bpf_ntohl(words[0]) & 0xffff;
	found->sack_permitted = 1;
	found->stamp = bpf_ntohl(words[2]);
	found->echo = bpf_ntohl(words[3]);
	found->stamps_at = TCP_HEADER + 8;
	found->shift = shift > LARGEST_SHIFT ? LARGEST_SHIFT : shift;
	return 1;
}

/* One option. Answers 1 behind the last. */
static long next_option(__u32 round, void *nothing)
{
	struct options *found = frame_options();
	__u32 at, size;
	__u8 *option;

	if (!found)
		return 1;
	at = found->at;
	if (at >= found->length || at >= OPTION_BYTES)
		return 1;
	option = found->bytes + at;
	if (option[0] == KIND_END)
		return 1;
	size = option[0] == KIND_NOP ? 1 : option[1];
	if (!size || at + size > found->length)
		return 1;
	if (size > 1)
		note_option(found, option, at, size);
	found->at = at + size;
	return 0;
}

/*
 * Read every option; what comes behind a broken one isn't there. Answers 0, or -1 if the frame ends before. Others find
 * them by frame_options(). A global function, which Linux proves once.
 */
int syn_read_options(struct xdp_md *context, struct frame *frame);
__attribute__((noinline, weak)) int syn_read_options(struct xdp_md *context, struct frame *frame)
{
	struct options *found = frame_options();
	__u32 length;

	if (!found || !frame)
		return -1;
	__builtin_memset(found, 0, sizeof(*found));
	found->shift = NO_SHIFT;
	length = frame->payload - frame->layer4 - TCP_HEADER;
	if (read_usual_options(context, frame, found, length))
		return 0;
	asm volatile("" : "+r"(length)); /* no switch of all that is asked of it: a verifier wants to see what is left */
	if (!length)
		return 0;
	if (length > OPTION_BYTES || bpf_xdp_load_bytes(context, frame->layer4 + TCP_HEADER, found->bytes, length))
		return -1;
	found->length = length;
	bpf_loop(MOST_OPTIONS, next_option, (void *)0, 0);
	return 0;
}

/* Begin a segment; ports go the frame's way. */
static __always_inline void begin_segment(struct segment *segment, const struct frame *frame)
{
	__builtin_memset(segment, 0, sizeof(*segment));
	segment->ports = bpf_htonl(frame->source_port << 16 | (frame->destination_port & 0xffff));
}

/* The segment's options, nearly always all or none of them. Answers 0, or -1 if the frame ends before. */
static __always_inline int copy_options(struct xdp_md *context, const struct frame *frame, const struct segment *segment)
{
	__u32 size = SIZE_OF(segment);
	__be32 *place;

	if (size == LARGEST_SEGMENT) {
		place = frame_bytes(context, frame->layer4 + TCP_HEADER, sizeof(segment->options));
		if (!place)
			return -1;
		__builtin_memcpy(place, segment->options, sizeof(segment->options));
		return 0;
	}
	for (__u32 i = 0; i < MOST_WORDS; i++) {
		if (size <= TCP_HEADER + 4 * i)
			break;
		place = frame_bytes(context, frame->layer4 + TCP_HEADER + 4 * i, sizeof(*place));
		if (!place)
			return -1;
		*place = segment->options[i];
	}
	return 0;
}

/* Write the segment to where it belongs; `sum` is that of what isn't in it. Answers 0, or -1 if the frame ends before. */
static __always_inline int copy_segment(struct xdp_md *context, const struct frame *frame, const struct segment *segment,
					int back, __u64 sum)
{
	__be32 *header = frame_bytes(context, frame->layer4, TCP_HEADER), ports = segment->ports;

	if (!header)
		return -1;
	sum += (__u64)ports + segment->sequence + segment->acknowledgement + segment->control;
	for (__u32 i = 0; i < MOST_WORDS; i++)
		sum += segment->options[i]; /* what isn't used is 0 */
	header[0] = back ? ports << 16 | ports >> 16 : ports;
	header[1] = segment->sequence;
	header[2] = segment->acknowledgement;
	header[3] = segment->control;
	header[4] = (__u16)~fold(sum);
	return copy_options(context, frame, segment);
}

#define ECN_4 0x03 /* of the second byte: RFC 3168 section 23.1 */
#define ECN_6 0x30

/* The header of IP for a segment of `size` bytes behind it, which nobody marks who hasn't agreed on ECN. Gives the sum of its addresses, or -1. */
static __always_inline __s64 write_ipv4(struct xdp_md *context, struct frame *frame, __u32 size, int back)
{
	struct iphdr *ip = frame_bytes(context, frame->layer3, sizeof(*ip));
	__u64 changes;
	__be16 length;
	__be32 source;

	if (!ip)
		return -1;
	length = bpf_htons(frame->layer4 - frame->layer3 + size);
	changes = change(ip->tot_len, length) + change(ip->tos << 8, (ip->tos & ~ECN_4) << 8); /* the second byte */
	ip->tot_len = length;
	ip->tos &= ~ECN_4;
	if (back) {
		changes += change(ip->ttl, FRESH_TTL); /* the first byte of its word, in memory */
		ip->ttl = FRESH_TTL;
		source = ip->saddr;
		ip->saddr = ip->daddr;
		ip->daddr = source;
	}
	ip->check = changed(ip->check, changes);
	return (__u64)ip->saddr + ip->daddr;
}

static __always_inline __u64 sum_of(const struct in6_addr *address)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += address->in6_u.u6_addr32[i];
	return sum;
}

static __always_inline __s64 write_ipv6(struct xdp_md *context, struct frame *frame, __u32 size, int back)
{
	struct ipv6hdr *ip = frame_bytes(context, frame->layer3, sizeof(*ip));
	struct in6_addr source;

	if (!ip)
		return -1;
	ip->payload_len = bpf_htons(frame->layer4 - frame->layer3 - sizeof(*ip) + size);
	ip->flow_lbl[0] &= ~ECN_6;
	if (back) {
		ip->hop_limit = FRESH_TTL;
		source = ip->saddr;
		ip->saddr = ip->daddr;
		ip->daddr = source;
	}
	return sum_of(&ip->saddr) + sum_of(&ip->daddr);
}

/*
 * Put the segment and `data` bytes of zeros behind it in the place of the frame's own; `back` sends it to where the frame
 * came from. The packet must be the outermost (link.h). Answers 0, or -1: then the frame is no use to anybody.
 */
static __noinline int write_segment(struct xdp_md *context, struct frame *frame, struct segment *segment, __u32 data, int back)
{
	__u32 size = SIZE_OF(segment), length = frame->layer4 + size + data;
	struct ethernet *ethernet;
	__s64 sum;
	__u8 zero = 0;

	if (size < TCP_HEADER || size > LARGEST_SEGMENT)
		return -1;
	if (bpf_xdp_adjust_tail(context, (int)length - (int)frame->length))
		return -1;
	if (back) {
		ethernet = frame_bytes(context, 0, sizeof(*ethernet));
		if (!ethernet)
			return -1;
		turn_link(ethernet);
	}
	if (frame->version == VERSION_4)
		sum = write_ipv4(context, frame, size + data, back);
	else
		sum = write_ipv6(context, frame, size + data, back);
	if (sum < 0)
		return -1;
	sum += bpf_htons(IPPROTO_TCP) + bpf_htons(size + data);
	if (data && bpf_xdp_store_bytes(context, frame->layer4 + size, &zero, 1))
		return -1;
	return copy_segment(context, frame, segment, back, sum);
}

#endif
