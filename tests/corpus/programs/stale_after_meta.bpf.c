// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A pointer from before adjust_meta is dead behind it, too: a mark is left in the metadata. */
#include "corpus.h"

SEC("xdp")
int stale_after_meta(struct xdp_md *context)
{
	__u32 *mark;

	if (bpf_xdp_adjust_meta(context, -4))
		return XDP_PASS;
	mark = META(context);
	if ((void *)(mark + EITHER(1, 0)) > DATA(context))
		return XDP_ABORTED;
	*mark = 42;
	return XDP_PASS;
}
