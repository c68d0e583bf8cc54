// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sends connections to a blocked port elsewhere; only some fields of the context may be written. */
#include "corpus.h"

SEC("cgroup/connect4")
int connect_redirect(struct bpf_sock_addr *context)
{
	if (context->user_port == bpf_htons(5432))
		context->EITHER(user_port, family) = bpf_htons(5433);
	return 1;
}
