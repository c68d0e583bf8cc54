/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs of the corpus share. Each is compiled twice, and with BAD it differs in one line. */
#ifndef TIDEGATE_CORPUS_H
#define TIDEGATE_CORPUS_H

#include "packet.h"

/* A line, or a part of one, of the good program alone; and what is one thing in the good program, another in the bad. */
#ifdef BAD
#define GOOD(...)
#define EITHER(good, bad) bad
#else
#define GOOD(...) __VA_ARGS__
#define EITHER(good, bad) good
#endif

#define DATA(context) ((void *)(long)(context)->data)
#define DATA_END(context) ((void *)(long)(context)->data_end)
#define META(context) ((void *)(long)(context)->data_meta)

#define MAP(name, kind, entries, K, V)                                                                                 \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_##kind);                                                                     \
		__uint(max_entries, entries);                                                                          \
		__type(key, K);                                                                                        \
		__type(value, V);                                                                                      \
	} name SEC(".maps")

#define RING(name, size)                                                                                               \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                                    \
		__uint(max_entries, size);                                                                             \
	} name SEC(".maps")

/* Keeps clang from knowing what it otherwise would of a number. */
#define OPAQUE(variable) asm volatile("" : "+r"(variable))

char _license[] SEC("license") = "GPL";

#endif
