// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A pointer is no verdict. */
#include "corpus.h"

SEC("xdp")
int pointer_verdict(struct xdp_md *context)
{
	long answer = EITHER(XDP_PASS, (long)context);

	OPAQUE(answer);
	return answer;
}
