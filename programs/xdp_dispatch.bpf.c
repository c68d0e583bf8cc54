// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Every protocol over IPv4 has a program of its own, in an array that whoever runs this may change at any time.
 *
 *     xdp_dispatch ── protocols[ip.protocol] ──> judge_tcp    a SYN whose options are broken, or allow no payload: drop
 *                │                          └──> judge_udp    a datagram from port 0: drop
 *                └── nothing there: pass
 *
 * A SYN's options are walked one by one, by a function that bpf_loop calls: there are 40 bytes of them at most, and
 * each option has at least one.
 */
#include "packet.h"

#define OPTIONS_AT (sizeof(struct ethernet) + sizeof(struct ipv4) + sizeof(struct tcp))
#define MOST_OPTIONS 40
#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_SEGMENT_SIZE 2
#define LEAST_SEGMENT_SIZE 64

int judge_tcp(struct xdp_md *context);
int judge_udp(struct xdp_md *context);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__array(values, int(struct xdp_md *));
} protocols SEC(".maps") = {
	.values = {
		[PROTOCOL_TCP] = (void *)&judge_tcp,
		[PROTOCOL_UDP] = (void *)&judge_udp,
	},
};

struct walk {
	struct xdp_md *context;
	__u32 at; /* the next option, in bytes from the start of the frame */
	__u32 end;
	__u32 segment_size;
	__u32 broken;
};

static long next_option(__u32 turn, void *data)
{
	struct walk *walk = data;
	__u8 option[4]; /* kind, length, and what it says */

	if (walk->at >= walk->end || bpf_xdp_load_bytes(walk->context, walk->at, option, 1) || option[0] == OPTION_END)
		return 1;
	if (option[0] == OPTION_NOTHING) {
		walk->at++;
		return 0;
	}
	walk->broken = 1;
	if (bpf_xdp_load_bytes(walk->context, walk->at, option, 2) || option[1] < 2 || walk->at + option[1] > walk->end)
		return 1;
	if (option[0] == OPTION_SEGMENT_SIZE) {
		if (option[1] != 4 || bpf_xdp_load_bytes(walk->context, walk->at, option, 4))
			return 1;
		walk->segment_size = option[2] << 8 | option[3];
	}
	walk->broken = 0;
	walk->at += option[1];
	return 0;
}

SEC("xdp")
int xdp_dispatch(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct ipv4 *ip;

	if (!skip(&cursor, sizeof(*ethernet)) || ethernet->type != bpf_htons(ETHERTYPE_IPV4))
		return XDP_PASS;
	ip = cursor.position;
	if (!skip(&cursor, sizeof(*ip)) || ip->version_length != 0x45)
		return XDP_PASS;
	bpf_tail_call(context, &protocols, ip->protocol);
	return XDP_PASS;
}

SEC("xdp")
int judge_tcp(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct walk walk = {.context = context, .at = OPTIONS_AT, .segment_size = LEAST_SEGMENT_SIZE};
	struct tcp *tcp;

	if (!skip(&cursor, sizeof(struct ethernet) + sizeof(struct ipv4)))
		return XDP_DROP;
	tcp = cursor.position;
	if (!skip(&cursor, sizeof(*tcp)))
		return XDP_DROP;
	if ((tcp->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return XDP_PASS;
	walk.end = OPTIONS_AT - sizeof(*tcp) + (tcp->header_length >> 4) * 4;
	bpf_loop(MOST_OPTIONS, next_option, &walk, 0);
	return walk.broken || walk.segment_size < LEAST_SEGMENT_SIZE ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int judge_udp(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct udp *udp;

	if (!skip(&cursor, sizeof(struct ethernet) + sizeof(struct ipv4)))
		return XDP_DROP;
	udp = cursor.position;
	if (!skip(&cursor, sizeof(*udp)) || !udp->source)
		return XDP_DROP;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
