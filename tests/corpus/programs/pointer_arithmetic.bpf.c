// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Pointers may be moved, but not multiplied. */
#include "corpus.h"

SEC("xdp")
int pointer_arithmetic(struct xdp_md *context)
{
	long place = (long)DATA(context);

	OPAQUE(place);
	place = EITHER(place + 14, place * 2);
	OPAQUE(place);
	return (void *)place > DATA_END(context) ? XDP_DROP : XDP_PASS;
}
