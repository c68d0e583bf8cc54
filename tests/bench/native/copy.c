// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A part of the frame is copied to the stack, changed there, looked at by a variable index, and copied back: what
 * stays in memory because of the index, and what could be registers.
 */
#include "program.h"

#define SIZE 128

static u64 result(u8 *at, u8 *end)
{
	u64 words[SIZE / 8], *frame = (u64 *)at;
	u64 sum = 0;

	if (at + SIZE > end)
		return 0;
	for (int i = 0; i < SIZE / 8; i++)
		words[i] = frame[i];
	for (int i = 0; i < SIZE / 8; i++)
		sum += words[words[i] % (SIZE / 8)] ^ i;
	for (int i = 0; i < SIZE / 8; i++)
		frame[i] = words[SIZE / 8 - 1 - i];
	return sum;
}
