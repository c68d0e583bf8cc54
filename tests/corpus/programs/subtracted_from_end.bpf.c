// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The last bytes of the frame: a distance found by subtraction, and bounded. */
#include "corpus.h"

SEC("xdp")
int subtracted_from_end(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	__u64 at = end - data;
	__u8 *last;

	if (at < 8 || at > 1514)
		return XDP_PASS;
	OPAQUE(at);
	last = data + (at - 4);
	OPAQUE(last);
	if ((void *)last + EITHER(4, 3) > end)
		return XDP_DROP;
	return last[3] == 0 ? XDP_PASS : XDP_DROP;
}
