// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A helper call destroys r1 to r5: what is needed afterwards is kept elsewhere. */
#include "corpus.h"

SEC("xdp")
int helper_clobbers(struct xdp_md *context)
{
	int result;

	asm volatile("r3 = 1\n"
		     EITHER("r6 = r3\n", "")
		     "call 5\n"
		     "%0 = " EITHER("r6", "r3") "\n"
		     : "=r"(result) : : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	return result;
}
