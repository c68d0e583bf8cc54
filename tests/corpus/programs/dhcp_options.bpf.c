// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Looks for the message type among DHCP options: tag, length, value. */
#include "corpus.h"

SEC("xdp")
int dhcp_options(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__u8 *option = DATA(context) + 282;

	for (int i = 0; i < 16; i++) {
		if ((void *)option + EITHER(3, 2) > end || option[0] == 255)
			return XDP_PASS;
		if (option[0] == 53)
			return option[2] == 2 ? XDP_DROP : XDP_PASS;
		option += option[0] ? option[1] + 2 : 1;
	}
	return XDP_PASS;
}
