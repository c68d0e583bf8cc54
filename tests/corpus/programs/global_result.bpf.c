// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What a global function returns is any number: it must be bounded by its caller. */
#include "corpus.h"

__noinline int decide(struct bpf_sock_addr *context)
{
	return context->user_port & 1 ? 1 : 7;
}

SEC("cgroup/connect4")
int global_result(struct bpf_sock_addr *context)
{
	int verdict = decide(context);

	OPAQUE(verdict);
	return EITHER(verdict & 1, verdict);
}
