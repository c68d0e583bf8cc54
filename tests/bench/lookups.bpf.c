// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Lookups of pseudo-random keys, all of which are in the map, and the same without the lookups: what the keys cost.
 * Compiled with TYPE, ENTRIES and, if the map is no hash, INDEX (4-byte keys) or PREFIX (of a trie).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define LOOKUPS 64

#if defined(INDEX)
struct key { __u32 index; };
#define KEY(n) { n }
#elif defined(PREFIX)
struct key { __u32 length, address; };
#define KEY(n) { 32, (n) * 2654435761u }
#else
struct key { __u64 number, mixed; };
#define KEY(n) { n, (n) * 0x9e3779b97f4a7c15ULL }
#endif

struct {
	__uint(type, TYPE);
	__uint(max_entries, ENTRIES);
#ifdef PREFIX
	__uint(map_flags, BPF_F_NO_PREALLOC);
#endif
	__type(key, struct key);
	__type(value, __u64);
} table SEC(".maps");

__u64 state = 1;

static __always_inline __u64 next(__u64 *at)
{
	*at = *at * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*at >> 32) * ENTRIES >> 32;
}

SEC("xdp") int lookups(struct xdp_md *ctx)
{
	__u64 at = state, found = 0;

	for (int i = 0; i < LOOKUPS; i++) {
		__u64 number = next(&at);
		struct key key = KEY(number);
		__u64 *value = bpf_map_lookup_elem(&table, &key);

		if (value)
			found += *value;
	}
	state = at;
	return found == LOOKUPS ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int keys(struct xdp_md *ctx)
{
	__u64 at = state;

	for (int i = 0; i < LOOKUPS; i++) {
		__u64 number = next(&at);
		struct key key = KEY(number);

		asm volatile("" : : "r"(&key) : "memory");
	}
	state = at;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
