// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What a global function returns is any number: it must be bounded by its caller. */
#include "corpus.h"

__noinline int decide(struct xdp_md *context)
{
	return context->rx_queue_index & 1 ? XDP_DROP : 7;
}

SEC("xdp")
int global_result(struct xdp_md *context)
{
	int verdict = decide(context);

	OPAQUE(verdict);
	return EITHER(verdict & 1, verdict);
}
