// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* memcmp as C has it, byte by byte: where two halves of a frame begin to differ, and how. */
#include "program.h"

#define SIZE 256

static u64 result(u8 *at, u8 *end)
{
	u8 *one = at, *other = one + SIZE;

	if (other + SIZE > end)
		return 0;
	for (int i = 0; i < SIZE; i++)
		if (one[i] != other[i])
			return one[i] < other[i] ? -i : i;
	return SIZE;
}
