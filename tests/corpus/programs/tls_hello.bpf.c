// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Finds the session id of a TLS client hello, which stands behind a TCP header of variable length. */
#include "corpus.h"

SEC("xdp")
int tls_hello(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	struct tcp *tcp = data + 34;
	__u8 *hello;

	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
	hello = (void *)tcp + (tcp->header_length >> 4) * 4;
	if ((void *)hello + EITHER(44, 43) > end)
		return XDP_PASS;
	if (hello[0] != 22 || hello[5] != 1)
		return XDP_PASS;
	return hello[43] > 32 ? XDP_DROP : XDP_PASS;
}
