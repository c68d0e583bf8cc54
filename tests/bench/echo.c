/* echo ADDRESS COUNT MICROSECONDS: ask for an ICMP echo COUNT times with a pause between, print each round trip.
 *
 * One number for each answer, in nanoseconds, from before sendto(2) to after recv(2). The far kernel answers by itself,
 * so that the only processes to be woken are this one and whatever stands between.
 */
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { IP_HEADER = 20 };

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint16_t checksum(const uint16_t *words, size_t count)
{
	uint32_t sum = 0;
	while (count--)
		sum += *words++;
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* The round trip of one echo, or 0 if no answer came in time. */
static uint64_t ask(int fd, const struct sockaddr_in *peer, uint16_t id, uint16_t number)
{
	struct icmphdr question = {.type = ICMP_ECHO, .un.echo = {id, number}};
	question.checksum = checksum((uint16_t *)&question, sizeof question / 2);
	uint8_t answer[128];
	uint64_t began = now();
	sendto(fd, &question, sizeof question, 0, (const struct sockaddr *)peer, sizeof *peer);
	for (;;) {
		if (recv(fd, answer, sizeof answer, 0) < (int)(IP_HEADER + sizeof question))
			return 0;
		uint64_t ended = now();
		const struct icmphdr *reply = (void *)(answer + IP_HEADER);
		if (reply->un.echo.id == id && reply->un.echo.sequence == number)
			return ended - began;
	}
}

int main(int count, char **words)
{
	if (count != 4)
		return 2;
	struct sockaddr_in peer = {.sin_family = AF_INET};
	inet_pton(AF_INET, words[1], &peer.sin_addr);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct icmp_filter filter = {~(1u << ICMP_ECHOREPLY)};
	struct timeval patience = {.tv_sec = 1};
	if (fd < 0 || setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience)) {
		perror("socket");
		return 1;
	}
	for (int i = 0; i < atoi(words[2]); i++) {
		uint64_t taken = ask(fd, &peer, getpid(), i);
		if (taken)
			printf("%lu\n", taken);
		usleep(atoi(words[3]));
	}
	return 0;
}
