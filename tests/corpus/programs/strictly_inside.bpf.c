// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* `<` instead of `<=`: one byte more than the access needs, and one less. */
#include "corpus.h"

SEC("xdp")
int strictly_inside(struct xdp_md *context)
{
	__u8 *data = DATA(context);

	if ((void *)data + EITHER(33, 32) < DATA_END(context))
		return data[33] & 1;
	return XDP_PASS;
}
