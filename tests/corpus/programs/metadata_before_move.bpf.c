// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Metadata that was checked, and then moved. */
#include "corpus.h"

SEC("xdp")
int metadata_before_move(struct xdp_md *context)
{
	__u32 *mark;

	if (bpf_xdp_adjust_meta(context, -8))
		return XDP_PASS;
	mark = META(context);
	if ((void *)(mark + 2) > DATA(context))
		return XDP_ABORTED;
	GOOD(mark[0] = 7; if (0))
	bpf_xdp_adjust_meta(context, 4);
	mark[1] = 42;
	return XDP_PASS;
}
