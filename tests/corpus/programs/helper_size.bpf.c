// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A helper may write as much as there is room on the stack. */
#include "corpus.h"

SEC("xdp")
int helper_size(struct xdp_md *context)
{
	__u8 buffer[64] = {};
	__u32 size = context->rx_queue_index & EITHER(63, 127);

	if (!size || bpf_xdp_load_bytes(context, 0, buffer, size))
		return XDP_PASS;
	return buffer[12] ? XDP_PASS : XDP_DROP;
}
