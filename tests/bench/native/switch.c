// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An interpreter of bytes: one switch of sixteen cases for each. */
#include "program.h"

#define SIZE 128

static u64 result(u8 *at, u8 *end)
{
	u32 a = 1, b = 2;

	if (at + SIZE > end)
		return 0;
	for (int i = 0; i < SIZE; i++)
		switch (at[i] & 15) {
		case 0: a += b; break;
		case 1: a -= b; break;
		case 2: a ^= b; break;
		case 3: b += a; break;
		case 4: b ^= a; break;
		case 5: a *= 3; break;
		case 6: b *= 5; break;
		case 7: a >>= 1; break;
		case 8: b >>= 2; break;
		case 9: a |= 0x11; break;
		case 10: b |= 0x101; break;
		case 11: a = ~a; break;
		case 12: b = ~b; break;
		case 13: a += i; break;
		case 14: b -= i; break;
		case 15: a = a << 7 | a >> 25; break;
		}
	return a ^ b;
}
