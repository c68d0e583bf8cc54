// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* 64-bit division: how many numbers the frame's first one has as divisors, tried one by one, and the sum of them. */
#include "program.h"

static u64 result(u8 *at, u8 *end)
{
	u64 number, sum = 0;

	if (at + 8 > end)
		return 0;
	number = *(u64 *)at;
	for (u64 divisor = 2; divisor < 256; divisor++) {
		u64 quotient = number / divisor;

		if (quotient * divisor == number)
			sum += quotient;
		else
			sum ^= number % divisor;
	}
	return sum;
}
