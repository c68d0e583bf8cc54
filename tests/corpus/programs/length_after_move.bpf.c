// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The packet's length before it was moved: clang subtracts the two pointers when they are dead already. */
#include "corpus.h"

SEC("xdp")
int length_after_move(struct xdp_md *context)
{
	__u32 length = context->data_end - context->data;
	__u8 *data;

	if (bpf_xdp_adjust_head(context, -4))
		return XDP_ABORTED;
	data = DATA(context);
	if ((void *)data + EITHER(4, 1) > DATA_END(context))
		return XDP_ABORTED;
	*(__be32 *)data = bpf_htonl(length);
	return XDP_TX;
}
