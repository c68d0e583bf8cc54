/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a stage is: a function in C that is linked into a rule set, and asked for every frame that it judges.
 *
 *     frame ─ parsed ─ allowlist ─ [stages before the rules] ─ rules ─ [stages after the rules] ─ policy
 *
 *     #include "stage.h"
 *
 *     STAGE(no_port_nine)
 *     {
 *             if (!frame)
 *                     return NEXT;
 *             return frame->transport == IPPROTO_UDP && frame->destination_port == 9 ? XDP_DROP : NEXT;
 *     }
 *
 * A stage answers NEXT, and the frame goes on, or an XDP action, which is final. It is a global function of BPF: whoever
 * proves the object proves it once and alone, so it must look whether `frame` is there at all, and must check what it
 * reads of the packet itself. Where a header begins `frame` says; to the verifier that is a number like any other.
 *
 * What a document says of a stage in numbers reaches it as constants: `extern const struct config config`. Maps whose
 * size a document says are declared with EXTERN_MAP; a stage's own stand in section ".maps" as in any other program.
 */
#ifndef TIDEGATE_STAGE_H
#define TIDEGATE_STAGE_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NEXT 0 /* no XDP action that anybody answers: 0 is XDP_ABORTED */

#define WAY_IN 0  /* the frame comes from outside */
#define WAY_OUT 1 /* the frame comes from inside */

#define SECOND 1000000000ULL /* in nanoseconds */

/* What connection tracking says of a frame; untracked is also what it says where it is off. */
#define CT_UNTRACKED 0
#define CT_NEW 1
#define CT_ESTABLISHED 2
#define CT_RELATED 3
#define CT_INVALID 4

#define VERSION_4 4
#define VERSION_6 6

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

/* Of either family, in host order; an IPv4 address is mapped: ::ffff:192.0.2.1 has high 0, low 0xffffc0000201. */
struct address {
	__u64 high;
	__u64 low;
};

/*
 * What the parser found, in host order; 0 for what the frame doesn't have. Offsets are bytes from the frame's beginning.
 * appliance/rules/stages/contract.py says the same; a test holds them together.
 */
struct frame {
	struct address source;
	struct address destination;
	__u64 length;          /* bytes of the frame, from the Ethernet header on */
	__u64 now;             /* nanoseconds, or 0 if nobody asked yet: frame_time() */
	__u64 layer3;          /* offset of the IP header */
	__u64 layer4;          /* offset of what stands behind IP headers */
	__u64 payload;         /* offset of what stands behind the transport header */
	__u32 payload_length;  /* bytes of it that IP says there are */
	__u32 version;         /* of IP: 4, 6, or 0 for a frame without an IP packet */
	__u32 protocol;        /* IPv4's protocol; in IPv6 what stands behind extension headers */
	__u32 transport;       /* the header that was read at layer4: IPPROTO_*, or 0 for none */
	__u32 ip_length;       /* bytes of the IP packet */
	__u32 fragment;        /* 1 for each fragment of a packet */
	__u32 fragment_offset; /* bytes */
	__u32 more_fragments;  /* 1 if others follow */
	__u32 source_port;
	__u32 destination_port;
	__u32 tcp_flags; /* TCP_* */
	__u32 tcp_sequence;
	__u32 tcp_acknowledgement;
	__u32 tcp_window; /* unscaled */
	__u32 icmp_type;  /* of ICMP and ICMPv6 */
	__u32 icmp_code;
	__u32 way;       /* WAY_IN or WAY_OUT */
	__u32 monitored; /* 1: answer as ever, but leave the frame as it is, for the answer is only counted */
	__u32 mark;      /* a stage before the rules may set it: rules read it as `stage.mark` */
	__u32 ct_state;  /* CT_*, of the connection that the frame belongs to: rules read it as `ct.state` */
	__u32 ct_commit; /* what becomes of that connection if the frame passes; 0: nothing (programs/stages/flows.c) */
	__u32 fragment_id;
	__u32 proved;    /* 1: a SYN of a client that has given back a cookie (programs/stages/syn_proxy.c) */
	__u32 dscp;      /* 64 and the DSCP that a rule marks the frame with, if it leaves; 0 for none */
	__u32 quoted_change; /* what was added to the number that an ICMP error quotes (programs/stages/syn_quoted.h) */
	__u32 reject;    /* how a rule rejects the frame (programs/stages/reject.c) */
};

/* The head of a stage. `weak` keeps LLVM from changing what callers hand over: verifiers want both arguments. */
#define STAGE(name) \
	int name(struct xdp_md *context, struct frame *frame); \
	__attribute__((noinline, weak)) int name(struct xdp_md *context, struct frame *frame)

#define EXTERN_MAP(kind, key_type, value_type, name) \
	extern struct { \
		__uint(type, kind); \
		__type(key, key_type); \
		__type(value, value_type); \
	} name SEC(".maps")

/* The time, read once for each frame. */
static __always_inline __u64 frame_time(struct frame *frame)
{
	if (!frame->now)
		frame->now = bpf_ktime_get_ns();
	return frame->now;
}

/* A pointer to `size` bytes at that offset of the packet, or NULL if it ends before. */
static __always_inline void *frame_bytes(struct xdp_md *context, __u64 offset, __u32 size)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	void *place = data + (offset & 0x7fff);

	asm volatile("" : "+r"(place)); /* what is compared is what is read through */
	return place + size > end ? (void *)0 : place;
}

#endif
