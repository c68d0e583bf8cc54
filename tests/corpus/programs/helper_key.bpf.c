// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A helper reads a key straight from the packet. */
#include "corpus.h"

MAP(flows, HASH, 16, __u64, __u64);

SEC("xdp")
int helper_key(struct xdp_md *context)
{
	void *addresses = DATA(context) + 26;

	if (addresses + EITHER(8, 4) > DATA_END(context))
		return XDP_PASS;
	return bpf_map_lookup_elem(&flows, addresses) ? XDP_DROP : XDP_PASS;
}
