/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* SipHash-2-4 over four words: a hash that nobody can foretell without its key (Aumasson and Bernstein, 2012). */
#ifndef TIDEGATE_SIPHASH_H
#define TIDEGATE_SIPHASH_H

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

struct siphash_key {
	__u64 first;
	__u64 second;
};

#define ROTATE(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))

static __always_inline void siphash_round(__u64 v[4])
{
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

static __always_inline __u64 siphash_4(const __u64 words[4], const struct siphash_key *key)
{
	__u64 v[4] = {
		key->first ^ 0x736f6d6570736575ULL,
		key->second ^ 0x646f72616e646f6dULL,
		key->first ^ 0x6c7967656e657261ULL,
		key->second ^ 0x7465646279746573ULL,
	};

	for (int i = 0; i < 5; i++) {
		__u64 word = i < 4 ? words[i] : 32ULL << 56; /* the length closes the message */

		v[3] ^= word;
		siphash_round(v);
		siphash_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
