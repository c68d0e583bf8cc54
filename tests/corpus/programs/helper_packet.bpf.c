// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A helper reads packet memory that was checked for the whole size. */
#include "corpus.h"

SEC("xdp")
int helper_packet(struct xdp_md *context)
{
	__be32 *words = DATA(context);

	if ((void *)words + EITHER(24, 20) > DATA_END(context))
		return XDP_PASS;
	return bpf_csum_diff(0, 0, words, 24, 0) & 1 ? XDP_DROP : XDP_PASS;
}
