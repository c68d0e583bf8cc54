// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The frame's length, kept as a number, decides what may be read. */
#include "corpus.h"

SEC("xdp")
int length_in_scalar(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	__u64 length = end - data;
	__u8 *bytes = data;

	if (length > 1500)
		return XDP_DROP;
	if (length >= 60 && data + EITHER(60, 50) <= end)
		return bytes[59] ? XDP_PASS : XDP_DROP;
	return XDP_PASS;
}
