// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A loop that counts, and one that forgets to. */
#include "corpus.h"

SEC("xdp")
int endless_loop(struct xdp_md *context)
{
	__u32 i = 0, random;

	do {
		random = bpf_get_prandom_u32();
		EITHER(i++, OPAQUE(i));
	} while (i < 64 && random);
	return random & 1 ? XDP_DROP : XDP_PASS;
}
