// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Pops MPLS labels up to the bottom of the stack. */
#include "corpus.h"

SEC("xdp")
int mpls_labels(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__u8 *label = DATA(context) + 14;

	for (int i = 0; i < 6; i++, label += 4) {
		if ((void *)label + EITHER(4, 2) > end)
			return XDP_DROP;
		if (label[2] & 1)
			return label[3] > 1 ? XDP_PASS : XDP_DROP;
	}
	return XDP_DROP;
}
