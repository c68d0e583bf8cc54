// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Functions that call each other: a chain, or for ever. */
#include "corpus.h"

static __noinline int even(struct xdp_md *context, __u32 number);

static __noinline int odd(struct xdp_md *context, __u32 number)
{
	return number ? EITHER(number & 1, even(context, number - 1)) : context->rx_queue_index & 1;
}

static __noinline int even(struct xdp_md *context, __u32 number)
{
	return number ? odd(context, number - 1) : context->ingress_ifindex & 1;
}

SEC("xdp")
int too_deep(struct xdp_md *context)
{
	return even(context, context->rx_queue_index) & 1;
}
