// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Around a benchmarked program: one source, for eBPF and for the machine itself.
 *
 *     clang -O2 -target bpf      struct xdp_md is Linux's: 32-bit words that become pointers
 *     clang -O2 -shared          struct xdp_md is hooks.contracts.xdp.FrameContext, whose pointers are pointers; the first fields
 *                                 of every HostContext, BEFORE_DATA bytes, stand before them
 *
 * A program is a function `result(at, end)` of the bytes at..end. They stand behind the first 8 bytes of the frame, which
 * become the result: it tells that both did the same.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define XDP_ABORTED 0
#define XDP_PASS 2

#ifdef __bpf__
struct xdp_md {
	u32 data, data_end;
};
#define ENTRY __attribute__((section("xdp"), used))
#define POINTER(word) ((u8 *)(long)(word))
#else
struct xdp_md {
	u8 before[BEFORE_DATA], *data, *data_end;
};
#define ENTRY
#define POINTER(word) (word)
#endif

#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)

static inline __attribute__((always_inline)) u64 result(u8 *at, u8 *end);

ENTRY int program(struct xdp_md *ctx)
{
	u8 *start = POINTER(ctx->data), *end = POINTER(ctx->data_end);

	if (start + 8 > end)
		return XDP_ABORTED;
	*(u64 *)start = result(start + 8, end);
	return XDP_PASS;
}
