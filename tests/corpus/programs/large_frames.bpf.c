// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The frames of two functions together fit the stack, or they do not. */
#include "corpus.h"

static __noinline int inner(struct xdp_md *context)
{
	volatile __u8 buffer[EITHER(200, 400)];

	for (__u32 i = 0; i < sizeof(buffer); i++)
		buffer[i] = i;
	return buffer[context->rx_queue_index & 127] & 1;
}

SEC("xdp")
int large_frames(struct xdp_md *context)
{
	volatile __u8 buffer[200];

	for (__u32 i = 0; i < sizeof(buffer); i++)
		buffer[i] = 1;
	return inner(context) & buffer[context->rx_queue_index & 127] & 1;
}
