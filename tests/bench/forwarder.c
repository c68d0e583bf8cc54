/* forwarder OUTSIDE INSIDE: carry every frame from one interface to the other, both ways, and look at nothing.
 *
 * The peer that Tidegate is measured against: the same rings (TPACKET_V2, PACKET_VNET_HDR, 4096 receive and 1024
 * transmit slots of 2048 bytes), the same batch, the same kick, the same sleep in poll(2). What it can't do: frames
 * longer than a slot, VLAN tags, counters. Prints "ready", and at SIGTERM how many frames it carried.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { SLOT = 2048, RECEIVE_SLOTS = 4096, TRANSMIT_SLOTS = 1024, BLOCK = 1 << 16, BATCH = 256, HEADROOM = 192 };
enum { TRANSMIT_OFFSET = sizeof(struct tpacket2_hdr), VNET = sizeof(struct virtio_net_hdr) };

struct port {
	int fd;
	uint8_t *receive, *transmit;
	unsigned receive_next, transmit_next, pending;
	uint64_t carried, lost;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void option(int fd, int name, const void *value, socklen_t size)
{
	check(setsockopt(fd, SOL_PACKET, name, value, size), "setsockopt");
}

static void switch_on(int fd, int name, int value)
{
	option(fd, name, &value, sizeof value);
}

static struct port open_port(const char *interface)
{
	struct port port = {.fd = socket(AF_PACKET, SOCK_RAW, 0)};
	check(port.fd, "socket");
	switch_on(port.fd, PACKET_VERSION, TPACKET_V2);
	switch_on(port.fd, PACKET_RESERVE, HEADROOM);
	switch_on(port.fd, PACKET_LOSS, 1);
	switch_on(port.fd, PACKET_IGNORE_OUTGOING, 1);
	switch_on(port.fd, PACKET_QDISC_BYPASS, 1);
	switch_on(port.fd, PACKET_VNET_HDR, 1);
	struct tpacket_req in = {BLOCK, RECEIVE_SLOTS * SLOT / BLOCK, SLOT, RECEIVE_SLOTS};
	struct tpacket_req out = {BLOCK, TRANSMIT_SLOTS * SLOT / BLOCK, SLOT, TRANSMIT_SLOTS};
	option(port.fd, PACKET_RX_RING, &in, sizeof in);
	option(port.fd, PACKET_TX_RING, &out, sizeof out);
	size_t size = (RECEIVE_SLOTS + TRANSMIT_SLOTS) * (size_t)SLOT;
	port.receive = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, port.fd, 0);
	check(port.receive == MAP_FAILED ? -1 : 0, "mmap");
	port.transmit = port.receive + RECEIVE_SLOTS * SLOT;
	struct sockaddr_ll here = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(interface),
	};
	check(bind(port.fd, (struct sockaddr *)&here, sizeof here), interface);
	struct packet_mreq promiscuous = {.mr_ifindex = here.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	option(port.fd, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous);
	return port;
}

static uint32_t state(struct tpacket2_hdr *slot)
{
	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
}

static void set_state(struct tpacket2_hdr *slot, uint32_t value)
{
	__atomic_store_n(&slot->tp_status, value, __ATOMIC_RELEASE);
}

static void kick(struct port *port)
{
	if (port->pending && send(port->fd, NULL, 0, MSG_DONTWAIT) >= 0)
		port->pending = 0;
}

static void carry(struct tpacket2_hdr *from, struct port *port)
{
	struct tpacket2_hdr *to = (void *)(port->transmit + (size_t)port->transmit_next * SLOT);
	if (from->tp_snaplen < from->tp_len || from->tp_len + VNET + TRANSMIT_OFFSET > SLOT) {
		port->lost++;
		return;
	}
	if (state(to) != TP_STATUS_AVAILABLE) {
		kick(port);
		if (state(to) != TP_STATUS_AVAILABLE) {
			port->lost++;
			return;
		}
	}
	uint8_t *message = (uint8_t *)to + TRANSMIT_OFFSET;
	memcpy(message, (uint8_t *)from + from->tp_mac - VNET, from->tp_len + VNET);
	((struct virtio_net_hdr *)message)->hdr_len = from->tp_len; /* copied at once, which is cheapest */
	to->tp_len = from->tp_len + VNET;
	set_state(to, TP_STATUS_SEND_REQUEST);
	port->transmit_next = (port->transmit_next + 1) % TRANSMIT_SLOTS;
	port->pending++;
	port->carried++;
}

static unsigned serve(struct port *in, struct port *out)
{
	unsigned served = 0;
	for (; served < BATCH; served++) {
		struct tpacket2_hdr *slot = (void *)(in->receive + (size_t)in->receive_next * SLOT);
		if (!(state(slot) & TP_STATUS_USER))
			break;
		carry(slot, out);
		set_state(slot, TP_STATUS_KERNEL);
		in->receive_next = (in->receive_next + 1) % RECEIVE_SLOTS;
	}
	return served;
}

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	struct sigaction end = {.sa_handler = on_signal};
	sigaction(SIGTERM, &end, NULL);
	struct port outside = open_port(words[1]), inside = open_port(words[2]);
	struct pollfd wait[] = {{outside.fd, POLLIN, 0}, {inside.fd, POLLIN, 0}};
	puts("ready");
	fflush(stdout);
	while (!stop) {
		unsigned served = serve(&outside, &inside) + serve(&inside, &outside);
		kick(&outside);
		kick(&inside);
		if (!served)
			poll(wait, 2, outside.pending | inside.pending ? 1 : 1000);
	}
	printf("carried %lu lost %lu\n", outside.carried + inside.carried, outside.lost + inside.lost);
	return 0;
}
