// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The index that bpf_loop gives is any number below the count: it must be bounded. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u64[32]);
struct state { __u64 sum; };

static long add(__u32 index, struct state *state)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	if (!value EITHER(|| index >= 32, && index))
		return 1;
	state->sum += value[index];
	return 0;
}

SEC("xdp")
int loop_index(struct xdp_md *context)
{
	struct state state = {};

	bpf_loop(40, add, &state, 0);
	return state.sum ? XDP_DROP : XDP_PASS;
}
