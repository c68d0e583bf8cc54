/* flood INTERFACE SECONDS: send 64-byte UDP frames as fast as one processor can; prints how many.
 *
 * One system call for each frame would be too slow to fill a ring. So what is sent is super-frames, UDP segmentation
 * offload in PACKET_VNET_HDR, and the kernel cuts each into SEGMENTS frames (the interface's own segmentation must be
 * off). Every super-frame has another source address and port, none of which a rule of twenty.yaml names, and every frame
 * a number of its own at the start of its payload, 8 bytes, from 0 on: `sequence` looks whether they come in order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { GSO_UDP_L4 = 5 }; /* VIRTIO_NET_HDR_GSO_UDP_L4 of headers since Linux 6.2 */
enum { SEGMENTS = 64, PAYLOAD = 22, SUPER_FRAMES = 1024, BURST = 16 };
enum { HEADERS = 14 + 20 + 8, LENGTH = HEADERS + SEGMENTS * PAYLOAD };

struct message {
	struct virtio_net_hdr offload;
	uint8_t frame[LENGTH];
} __attribute__((packed));

static const uint8_t ethernet[] = {2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 1, 8, 0}; /* to nobody: the far stack drops it */

static void put16(uint8_t *place, unsigned value)
{
	place[0] = value >> 8;
	place[1] = value;
}

static void fill(struct message *message)
{
	uint8_t *ip = message->frame + 14, *udp = ip + 20;
	message->offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = GSO_UDP_L4,
		.hdr_len = HEADERS,
		.gso_size = PAYLOAD,
		.csum_start = 14 + 20,
		.csum_offset = 6,
	};
	memcpy(message->frame, ethernet, sizeof ethernet);
	ip[0] = 0x45;
	put16(ip + 2, LENGTH - 14);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	ip[12] = 16 + random() % 64; /* 16.0.0.0 to 79.255.255.255 */
	put16(ip + 13, random());
	ip[15] = random();
	memcpy(ip + 16, (uint8_t[]){10, 0, 0, 2}, 4);
	put16(udp, 40000 + random() % 20000);
	put16(udp + 2, 12345);
	put16(udp + 4, LENGTH - 34);
}

static void number(struct message *message, uint64_t first)
{
	for (int i = 0; i < SEGMENTS; i++, first++)
		memcpy(message->frame + HEADERS + i * PAYLOAD, &first, sizeof first);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **words)
{
	static struct message messages[SUPER_FRAMES];
	static struct mmsghdr headers[SUPER_FRAMES];
	static struct iovec stretches[SUPER_FRAMES];
	if (count != 3)
		return 2;
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on);
	struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(words[1])};
	if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) {
		perror(words[1]);
		return 1;
	}
	for (int i = 0; i < SUPER_FRAMES; i++) {
		fill(&messages[i]);
		stretches[i] = (struct iovec){&messages[i], sizeof messages[i]};
		headers[i].msg_hdr.msg_iov = &stretches[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	uint64_t sent = 0;
	for (double end = now() + atof(words[2]); now() < end;) {
		static int next;
		for (int i = 0; i < BURST; i++)
			number(&messages[next + i], sent + (uint64_t)i * SEGMENTS);
		int done = sendmmsg(fd, headers + next, BURST, 0);
		sent += done > 0 ? (uint64_t)done * SEGMENTS : 0;
		next = (next + BURST) % SUPER_FRAMES;
	}
	printf("%lu\n", sent);
	return 0;
}
