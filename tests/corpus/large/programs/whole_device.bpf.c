/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* host_device without tail calls to itself: nearly all of it, for both families, in one program. */
#define WHOLE
#define PROGRAM "programs/host_device.bpf.c"
#include "host_device.bpf.c"

SEC("classifier") int whole(struct __sk_buff *packet)
{
	int verdict = OK;

	switch (packet->protocol) {
	case bpf_htons(ETHERTYPE_IPV4):
		verdict = packet->cb[3] ? masquerade4(packet) : come_back4(packet);
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		verdict = serve6(packet, packet->cb[0]);
		if (verdict == MISSED_TAIL)
			verdict = packet->cb[3] ? masquerade6(packet) : come_back6(packet);
		break;
	}
	return verdict < 0 ? dropped(packet, 0, 0, verdict, 0) : verdict;
}
