"""A datapath as large as wanted: C as a container network writes it, one stage after the other, all of them inlined.

    parse ──> option flags in a structure on the stack
              └─> stage: connection lookup ──> policy by identity ──> service and its backend ──> rewrite ─┐
              ┌────────────────────────────────────────────────────────────────────────────────────────────┘
              └─> stage …                                        every `if (ret < 0) goto drop` leads to one tail

Packet pointers are loaded again, and compared again, behind every helper that moves the frame.
"""

from __future__ import annotations

_TYPES = r"""
#include "packet.h"
#include <linux/in.h>

#define OPT_NAT 1
#define OPT_NODEPORT 2
#define OPT_ENCAP 4
#define OPT_LOG 8
#define DROP_INVALID -134
#define DROP_POLICY -133
#define DROP_CT -137
#define DROP_NAT -160

struct tuple { __u32 saddr, daddr; __u16 sport, dport; __u8 protocol, flags; __u16 stage; };
struct ct_entry { __u64 packets, bytes; __u32 lifetime; __u16 rev_nat, flags; };
struct policy_key { __u32 prefix, identity; __u16 dport; __u8 protocol, egress; };
struct policy { __u32 proxy_port; __u8 deny, flags; __u16 pad; __u64 packets; };
struct service { __u32 address; __u16 port, slot; };
struct backend { __u32 address; __u16 port, flags; };
struct options {
	__u32 flags, identity, source, destination, reason, monitor;
	__u32 l3, l4;
	__u16 rev_nat, service;
	__u8 protocol, ihl, family, marked;
};

#define HASH(name, key_type, value_type) \
	struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, key_type); __type(value, value_type); \
		__uint(max_entries, 1024); } name SEC(".maps")
HASH(ct, struct tuple, struct ct_entry);
HASH(policies, struct policy_key, struct policy);
HASH(services, struct service, struct backend);
HASH(nat, struct tuple, struct backend);
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __type(key, __u32); __type(value, __u64);
	__uint(max_entries, 256); } drops SEC(".maps");

static __always_inline int revalidate(struct xdp_md *ctx, struct options *o, struct ipv4 **ip)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + sizeof(struct ethernet) + sizeof(struct ipv4) > end)
		return DROP_INVALID;
	*ip = data + sizeof(struct ethernet);
	return 0;
}

static __always_inline int ports(struct xdp_md *ctx, struct options *o, struct tuple *t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 off = o->l4 & 0x7f;
	__u16 *port = data + off;

	if (data + off + 4 > end)
		return DROP_INVALID;
	t->sport = port[0];
	t->dport = port[1];
	return 0;
}
"""

_STAGE = r"""
static __always_inline int stage_@(struct xdp_md *ctx, struct options *o)
{
	struct tuple t = {};
	struct policy_key pk = {};
	struct ct_entry *entry, fresh = {};
	struct policy *policy;
	struct backend *target = 0;
	struct ipv4 *ip;
	int ret;

	if ((ret = revalidate(ctx, o, &ip)) < 0)
		return ret;
	t.saddr = ip->source; t.daddr = ip->destination;
	t.protocol = ip->protocol; t.stage = @;
	if (o->protocol == IPPROTO_TCP || o->protocol == IPPROTO_UDP) {
		if ((ret = ports(ctx, o, &t)) < 0)
			return ret;
	} else if (o->protocol != IPPROTO_ICMP) {
		return DROP_CT;
	}
	entry = bpf_map_lookup_elem(&ct, &t);
	if (entry) {
		entry->packets++;
		if (entry->rev_nat) { o->rev_nat = entry->rev_nat; o->flags |= OPT_NAT; }
		if (entry->flags & @MASK) o->flags |= OPT_NODEPORT;
	} else {
		o->flags |= OPT_LOG;
	}
	pk.prefix = 64; pk.identity = o->identity + @; pk.dport = t.dport; pk.protocol = t.protocol;
	policy = bpf_map_lookup_elem(&policies, &pk);
	if (!policy) {
		pk.dport = 0;
		policy = bpf_map_lookup_elem(&policies, &pk);
		if (!policy)
			return DROP_POLICY;
	}
	if (policy->deny)
		return DROP_POLICY;
	policy->packets++;
	if (policy->proxy_port) o->service = policy->proxy_port;
	if (o->flags & OPT_NAT) {
		target = bpf_map_lookup_elem(&nat, &t);
		if (!target && t.protocol == IPPROTO_UDP)
			return DROP_NAT;
	} else if (o->flags & OPT_NODEPORT) {
		struct service s = { .address = t.daddr, .port = t.dport, .slot = 1 + @ };
		target = bpf_map_lookup_elem(&services, &s);
	}
	if (target) {
		__u32 address = target->address;
		@ADJUST
		if ((ret = revalidate(ctx, o, &ip)) < 0)
			return ret;
		ip->destination = address;
		ip->ttl--;
		o->destination = address;
	}
	if (!entry && o->flags & OPT_LOG) {
		fresh.lifetime = @; fresh.packets = 1; fresh.rev_nat = o->rev_nat;
		if (bpf_map_update_elem(&ct, &t, &fresh, 0) < 0)
			return DROP_CT;
	}
	return 0;
}
"""

_ADJUST = r"""if (o->flags & OPT_ENCAP) {
			if (bpf_xdp_adjust_head(ctx, -4) < 0 || bpf_xdp_adjust_head(ctx, 4) < 0)
				return DROP_INVALID;
		}"""

_MAIN = r"""
SEC("xdp")
int datapath(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet *eth = data;
	struct options o = {};
	struct ipv4 *ip;
	int ret = 0;
	__u32 reason;
	__u64 *count;

	if (data + sizeof(*eth) + sizeof(*ip) > end)
		return XDP_PASS;
	if (eth->type != bpf_htons(ETHERTYPE_IPV4))
		return XDP_PASS;
	ip = data + sizeof(*eth);
	o.ihl = (ip->version_length & 15) * 4;
	if (o.ihl < 20)
		return XDP_DROP;
	o.l3 = sizeof(*eth); o.l4 = o.l3 + o.ihl;
	o.protocol = ip->protocol; o.source = ip->source; o.destination = ip->destination;
	o.identity = ctx->ingress_ifindex;
	if (ip->ttl < 2) o.flags |= OPT_LOG;
	if (ctx->rx_queue_index == 3) o.flags |= OPT_ENCAP;
@CALLS
	return o.flags & OPT_NAT ? XDP_TX : XDP_PASS;
drop:
	reason = -ret;
	if (o.flags & OPT_LOG)
		reason += 1;
	reason &= 255;
	count = bpf_map_lookup_elem(&drops, &reason);
	if (count)
		(*count)++;
	return XDP_DROP;
}
char _license[] SEC("license") = "GPL";
"""


def datapath(stages: int, *, calls: bool = False) -> str:
    """The C source, with so many stages: some hundred instructions each. `calls`: every stage is a function of its
    own, which gets a pointer to the structure on its caller's stack."""
    text = [_TYPES]
    for number in range(stages):
        stage = _STAGE.replace("@MASK", str(1 << number % 16)).replace("@ADJUST", _ADJUST if number % 3 == 0 else "")
        text.append(stage.replace("@", str(number)))
    ladder = "\n".join(f"\tif ((ret = stage_{number}(ctx, &o)) < 0) goto drop;" for number in range(stages))
    source = "".join(text) + _MAIN.replace("@CALLS", ladder)
    return source.replace("static __always_inline int stage", "static __noinline int stage") if calls else source
