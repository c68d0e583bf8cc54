// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Balances QUIC by the connection id, whose length is in the header. */
#include "corpus.h"

SEC("xdp")
int quic_connection(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__u8 *quic = DATA(context) + 42, hash = 0;
	__u32 length;

	if ((void *)quic + 6 > end || !(quic[0] & 0x80))
		return XDP_PASS;
	length = quic[5];
	if (length > 20)
		return XDP_DROP;
	for (__u32 i = 0; i < 20; i++) {
		if (i >= length)
			break;
		OPAQUE(quic);
		if ((void *)quic + EITHER(7, 6) > end)
			return XDP_DROP;
		hash ^= quic[6];
		quic++;
	}
	return hash & 1 ? XDP_TX : XDP_PASS;
}
