// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The context ends with its last field. */
#include "corpus.h"

SEC("xdp")
int context_beyond(struct xdp_md *context)
{
	__u32 *fields = (void *)context;

	return fields[EITHER(4, 6)] ? XDP_PASS : XDP_DROP;
}
