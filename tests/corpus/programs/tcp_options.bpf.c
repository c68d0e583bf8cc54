// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Finds the maximum segment size among the TCP options, in a loop whose steps come from the packet. */
#include "corpus.h"

#define OPTIONS 10

SEC("xdp")
int tcp_options(struct xdp_md *context)
{
	__u8 *option = DATA(context) + 54;
	void *end = DATA_END(context);

	for (int i = 0; i < OPTIONS; i++) {
		if ((void *)option + EITHER(2, 1) > end || option[0] == 0)
			return XDP_PASS;
		if (option[0] == 1) {
			option += 1;
			continue;
		}
		if (option[0] == 2) {
			if ((void *)option + 4 > end)
				return XDP_DROP;
			return option[2] << 8 | option[3] ? XDP_PASS : XDP_DROP;
		}
		if (option[1] < 2)
			return XDP_DROP;
		option += option[1];
	}
	return XDP_PASS;
}
