/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Between the families: headers are built anew, ICMP is mapped, checksums are corrected, and then it is translated. */
#define DEBUGGED
#define PROGRAM "/dev/null"
#include "both.h"

struct icmp {
	__u8 kind, code;
	__be16 checksum;
	__be16 identifier, sequence;
};

#define PREFIX bpf_htonl(0x0064ff9b)

INLINE __s64 pseudo6(struct ipv6 *ip, __u8 next, __u16 length, __s64 sum)
{
	__be32 size = bpf_htonl(length), kind = bpf_htonl(next);

	sum = bpf_csum_diff(NULL, 0, ip->source, 16, sum);
	sum = bpf_csum_diff(NULL, 0, ip->destination, 16, sum);
	sum = bpf_csum_diff(NULL, 0, &size, 4, sum);
	return bpf_csum_diff(NULL, 0, &kind, 4, sum);
}

INLINE int icmp_to6(struct __sk_buff *packet, __u32 at, __s64 *change)
{
	struct icmp old, fresh = {};

	if (bpf_skb_load_bytes(packet, at, &old, sizeof(old)) < 0)
		return INVALID;
	fresh.checksum = old.checksum;
	switch (old.kind) {
	case 8:
	case 0:
		fresh.kind = old.kind ? 128 : 129;
		fresh.identifier = old.identifier;
		fresh.sequence = old.sequence;
		break;
	case 3:
		fresh.kind = 1;
		switch (old.code) {
		case 0 ... 1:
		case 5 ... 8:
		case 11 ... 12:
			fresh.code = 0;
			break;
		case 2:
			fresh.kind = 4;
			fresh.code = 1;
			fresh.sequence = bpf_htons(6);
			break;
		case 3:
			fresh.code = 4;
			break;
		case 4:
			fresh.kind = 2;
			fresh.sequence = old.sequence ? old.sequence : bpf_htons(1500);
			break;
		case 9 ... 10:
		case 13:
			fresh.code = 1;
			break;
		default:
			return UNKNOWN;
		}
		break;
	case 11:
		fresh.kind = 3;
		break;
	case 12:
		fresh.kind = 4;
		fresh.sequence = bpf_htons(6);
		break;
	default:
		return UNKNOWN;
	}
	if (bpf_skb_store_bytes(packet, at, &fresh, sizeof(fresh), 0) < 0)
		return WRITE;
	old.checksum = fresh.checksum = 0;
	*change = bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&fresh, sizeof(fresh), 0);
	return 0;
}

INLINE int to6(struct __sk_buff *packet)
{
	__u64 flags = BPF_F_PSEUDO_HDR;
	__be16 kind = bpf_htons(ETHERTYPE_IPV6);
	struct checksum sum = {};
	struct ipv6 fresh = {};
	struct ipv4 old;
	__s64 change = 0;
	int failed;

	if (bpf_skb_load_bytes(packet, ETHERNET, &old, EITHER(sizeof(old), 516)) < 0)
		return INVALID;
	if (header_length4(&old) != sizeof(old))
		return INVALID;
	fresh.version_class_flow = bpf_htonl(0x60000000);
	fresh.source[0] = fresh.destination[0] = PREFIX;
	fresh.source[3] = old.source;
	fresh.destination[3] = old.destination;
	fresh.next = old.protocol == PROTOCOL_ICMP ? PROTOCOL_ICMP6 : old.protocol;
	fresh.hop_limit = old.ttl;
	fresh.payload_length = bpf_htons(bpf_ntohs(old.length) - sizeof(old));
	if (bpf_skb_change_proto(packet, kind, 0) < 0)
		return WRITE;
	if (bpf_skb_store_bytes(packet, ETHERNET, &fresh, sizeof(fresh), 0) < 0 ||
	    bpf_skb_store_bytes(packet, ETHERNET - 2, &kind, 2, 0) < 0)
		return WRITE;
	if (old.protocol == PROTOCOL_ICMP) {
		failed = icmp_to6(packet, ETHERNET + sizeof(fresh), &change);
		if (failed < 0)
			return failed;
		change = pseudo6(&fresh, PROTOCOL_ICMP6, bpf_ntohs(fresh.payload_length), change);
	} else {
		change = bpf_csum_diff(&old.source, 4, fresh.source, 16, 0);
		change = bpf_csum_diff(&old.destination, 4, fresh.destination, 16, change);
		if (old.protocol == PROTOCOL_UDP)
			flags |= BPF_F_MARK_MANGLED_0;
	}
	checksum_of(fresh.next, &sum);
	if (!sum.offset)
		return UNKNOWN;
	if (bpf_l4_csum_replace(packet, ETHERNET + sizeof(fresh) + sum.offset, 0, change, flags) < 0)
		return CHECKSUM;
	return 0;
}

INLINE int to4(struct __sk_buff *packet)
{
	__u64 flags = BPF_F_PSEUDO_HDR;
	__be16 kind = bpf_htons(ETHERTYPE_IPV4);
	struct checksum sum = {};
	struct ipv4 fresh = {};
	struct ipv6 old;
	__s64 change;

	if (bpf_skb_load_bytes(packet, ETHERNET, &old, sizeof(old)) < 0)
		return INVALID;
	if (header_length6(packet, &old.next) != sizeof(old))
		return INVALID;
	fresh.version_length = 0x45;
	fresh.source = old.source[3];
	fresh.destination = old.destination[3];
	fresh.protocol = old.next == PROTOCOL_ICMP6 ? PROTOCOL_ICMP : old.next;
	fresh.ttl = old.hop_limit;
	fresh.length = bpf_htons(bpf_ntohs(old.payload_length) + sizeof(fresh));
	change = bpf_csum_diff(NULL, 0, (__be32 *)&fresh, sizeof(fresh), 0);
	if (bpf_skb_change_proto(packet, kind, 0) < 0)
		return WRITE;
	if (bpf_skb_store_bytes(packet, ETHERNET, &fresh, sizeof(fresh), 0) < 0 ||
	    bpf_skb_store_bytes(packet, ETHERNET - 2, &kind, 2, 0) < 0)
		return WRITE;
	if (bpf_l3_csum_replace(packet, ETHERNET + 10, 0, change, 0) < 0)
		return CHECKSUM;
	change = bpf_csum_diff(old.source, 16, &fresh.source, 4, 0);
	change = bpf_csum_diff(old.destination, 16, &fresh.destination, 4, change);
	if (fresh.protocol == PROTOCOL_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	checksum_of(fresh.protocol, &sum);
	if (sum.offset && bpf_l4_csum_replace(packet, ETHERNET + sizeof(fresh) + sum.offset, 0, change, flags) < 0)
		return CHECKSUM;
	return 0;
}

SEC("classifier/46") int four_to_six(struct __sk_buff *packet)
{
	struct target6 target = { .least = 32768, .most = 65535 };
	__u32 device = 0;
	struct ipv6 *ip;
	void *data, *end;
	int verdict = to6(packet);

	if (verdict >= 0) {
		target.address.p1 = bpf_htonl(0xfd000000);
		verdict = translate6(packet, 1, &target);
	}
	if (verdict >= 0) {
		if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
			return DROP;
		verdict = route6(packet, ip, &device);
		if (verdict >= 0)
			return bpf_redirect(device, 0);
	}
	return dropped(packet, 0, 0, verdict, 1);
}

SEC("classifier/64") int six_to_four(struct __sk_buff *packet)
{
	struct target4 target = { .address = bpf_htonl(0x0a0b0c0d), .least = 32768, .most = 65535 };
	__u32 device = 0;
	struct ipv4 *ip;
	void *data, *end;
	int verdict = to4(packet);

	if (verdict >= 0)
		verdict = translate4(packet, 1, &target);
	if (verdict >= 0) {
		if (!revalidate(packet, &data, &end, (void **)&ip, sizeof(*ip), 1))
			return DROP;
		verdict = route4(packet, ip, &device);
		if (verdict >= 0)
			return bpf_redirect(device, 0);
	}
	return dropped(packet, 0, 0, verdict, 1);
}
