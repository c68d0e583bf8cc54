/* sequence INTERFACE: receive what `flood` sends, until standard input ends; prints four numbers: frames that arrived,
 * those of them that this program read, and of those how many did not come after the one before, and how many came twice
 * in a row.
 *
 * What arrived is the kernel's count for this socket, which has the frames that found no room in its queue as well: so
 * it is exact, however slowly they are read.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 256, ROOM = 64, NUMBER_AT = 14 + 20 + 8, QUEUE_BYTES = 64 << 20 };

static const uint8_t ethernet[] = {2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 1, 8, 0};

struct counts {
	uint64_t read, disordered, repeated, last;
	int begun;
};

static void take(struct counts *counts, const uint8_t *frame, unsigned length)
{
	uint64_t number;
	if (length < NUMBER_AT + sizeof number || memcmp(frame, ethernet, sizeof ethernet))
		return;
	memcpy(&number, frame + NUMBER_AT, sizeof number);
	counts->read++;
	if (counts->begun && number <= counts->last) {
		counts->disordered++;
		counts->repeated += number == counts->last;
	}
	counts->begun = 1;
	counts->last = number;
}

int main(int count, char **words)
{
	static uint8_t frames[BATCH][ROOM];
	static struct mmsghdr headers[BATCH];
	static struct iovec stretches[BATCH];
	if (count != 2)
		return 2;
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, size = QUEUE_BYTES;
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	struct sockaddr_ll here = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(words[1]),
	};
	if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) {
		perror(words[1]);
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		stretches[i] = (struct iovec){frames[i], ROOM};
		headers[i].msg_hdr.msg_iov = &stretches[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	puts("ready");
	fflush(stdout);
	struct counts counts = {0};
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	for (;;) {
		poll(polled, 2, -1);
		if (polled[0].revents & POLLIN) {
			int got = recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, NULL);
			for (int i = 0; i < got; i++)
				take(&counts, frames[i], headers[i].msg_len);
		} else if (polled[1].revents) {
			break;
		}
	}
	struct tpacket_stats kernel;
	socklen_t length = sizeof kernel;
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &length);
	printf("%u %lu %lu %lu\n", kernel.tp_packets, counts.read, counts.disordered, counts.repeated);
	return 0;
}
