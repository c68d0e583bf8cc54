// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Tells of every IP frame, in a ring buffer: when it came, its length, its EtherType and its first bytes. */
#include "packet.h"

#define HEAD 34 /* an Ethernet and an IPv4 header */

struct sample {
	__u64 time; /* nanoseconds, ktime_get_ns */
	__u32 length;
	__u16 protocol; /* EtherType, host order */
	__u8 head[HEAD];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} samples SEC(".maps");

SEC("xdp")
int xdp_sample(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	__u32 length = context->data_end - context->data;
	struct sample *sample;

	if (!skip(&cursor, HEAD))
		return XDP_PASS;
	sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	if (!sample)
		return XDP_PASS;
	sample->protocol = bpf_ntohs(ethernet->type);
	if (sample->protocol != 0x0800 && sample->protocol != 0x86dd) {
		bpf_ringbuf_discard(sample, 0);
		return XDP_PASS;
	}
	sample->time = bpf_ktime_get_ns();
	sample->length = length;
	__builtin_memcpy(sample->head, ethernet, HEAD);
	bpf_ringbuf_submit(sample, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
