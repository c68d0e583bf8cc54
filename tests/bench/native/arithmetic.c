// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Numbers in registers: a generator's steps (xorshift64*, Vigna 2014), and a logarithm of each by shifting. */
#include "program.h"

#define TURNS 64

static u64 result(u8 *at, u8 *end)
{
	u64 state, sum = 0;

	if (at + 8 > end)
		return 0;
	state = *(u64 *)at | 1;
	for (int turn = 0; turn < TURNS; turn++) {
		u64 value;
		u32 power = 0;

		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		value = state * 0x2545f4914f6cdd1dULL;
		for (u32 bits = 32; bits; bits >>= 1)
			if (value >> bits) {
				value >>= bits;
				power += bits;
			}
		sum += power;
	}
	return sum ^ state;
}
