// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A verdict from a map must be one. */
#include "corpus.h"

MAP(verdicts, ARRAY, 1, __u32, __u32);

SEC("cgroup/connect4")
int verdict_range(struct bpf_sock_addr *context)
{
	__u32 key = 0, *verdict = bpf_map_lookup_elem(&verdicts, &key);

	if (!verdict)
		return 1;
	return *verdict EITHER(& 1, & 7);
}
