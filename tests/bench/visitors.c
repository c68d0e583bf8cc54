/* visitors serve PORT                        echo what comes by TCP, for ever
 * visitors ask PORT SERVER SOURCE… ['+' SERVER SOURCE…]
 *
 * Good clients, cheap enough to measure others: connections that are held open and ask in turns, and new ones that ask
 * once and close. Windows are opened and closed by lines on standard input:
 *
 *     begin   count from now on
 *     end     ask nothing more, wait for what is under way, and print one line of JSON
 *
 * Numbers are of what began in the window. `made` got their answer within PATIENCE; `late` are those of them that needed
 * more than LATE, which says that a frame was lost: no retransmission of Linux's TCP comes sooner (TCP_RTO_MIN, 200 ms).
 * `round_trips` has the 10th, 50th, 90th and 99th percentile of held connections' round trips, in nanoseconds. One
 * thread; whoever ends standard input ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 32, MOST_NEW = 4096, MOST_SOURCES = 64, MOST_TIMES = 1 << 16, EVENTS = 64, MESSAGE = 16 };

#define MILLISECOND 1000000ull
static const uint64_t ask_every = 2 * MILLISECOND, connect_every = 5 * MILLISECOND;
static const uint64_t patience = 4000 * MILLISECOND, late = 150 * MILLISECOND;

struct pair { /* where a connection goes, and where it comes from */
	struct sockaddr_storage server, source;
	socklen_t size;
};

struct visitor {
	int fd, held, asking, counted; /* fd < 0: nobody */
	uint64_t began;
};

struct tally {
	unsigned long asked, made, late;
};

static struct pair pairs[MOST_SOURCES];
static struct visitor visitors[HELD + MOST_NEW];
static struct tally held, new;
static uint64_t times[MOST_TIMES];
static unsigned long timed, died;
static int pair_count, epoll, counting;

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void watch(int fd, uint32_t events, uint64_t what, int how)
{
	struct epoll_event event = {.events = events, .data.u64 = what};
	epoll_ctl(epoll, how, fd, &event);
}

static socklen_t address(struct sockaddr_storage *made, const char *text, int port)
{
	struct sockaddr_in *four = (void *)made;
	struct sockaddr_in6 *six = (void *)made;
	memset(made, 0, sizeof *made);
	made->ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (made->ss_family == AF_INET) {
		four->sin_port = htons(port);
		inet_pton(AF_INET, text, &four->sin_addr);
		return sizeof *four;
	}
	six->sin6_port = htons(port);
	inet_pton(AF_INET6, text, &six->sin6_addr);
	return sizeof *six;
}

/* ---- the server ---- */

static int serve(int port)
{
	struct sockaddr_storage any;
	socklen_t size = address(&any, "::", port);
	int on = 1, listening = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listening, (void *)&any, size) || listen(listening, 1024)) {
		perror("visitors");
		return 1;
	}
	watch(listening, EPOLLIN, listening, EPOLL_CTL_ADD);
	watch(0, EPOLLIN, 0, EPOLL_CTL_ADD);
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.u64;
			char message[MESSAGE];
			if (!fd)
				return 0;
			if (fd != listening) {
				ssize_t got = recv(fd, message, sizeof message, 0);
				if (got > 0)
					send(fd, message, got, MSG_NOSIGNAL);
				else if (got == 0 || errno != EAGAIN)
					close(fd);
				continue;
			}
			while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
				watch(fd, EPOLLIN, fd, EPOLL_CTL_ADD);
			}
		}
	}
}

/* ---- the clients ---- */

static void leave(struct visitor *visitor)
{
	close(visitor->fd);
	visitor->fd = -1;
	visitor->asking = 0;
}

static struct tally *tally_of(struct visitor *visitor)
{
	return visitor->held ? &held : &new;
}

/* Begin: a question of a held connection that is there already, or a connection. */
static void begin(struct visitor *visitor)
{
	visitor->began = now();
	visitor->asking = 1;
	visitor->counted = counting;
	tally_of(visitor)->asked += visitor->counted;
}

static void open_connection(struct visitor *visitor, int number, int is_held)
{
	const struct pair *pair = &pairs[number % pair_count];
	int on = 1;
	visitor->held = is_held;
	visitor->fd = socket(pair->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(visitor->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(visitor->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	begin(visitor);
	if (bind(visitor->fd, (const void *)&pair->source, pair->size) ||
	    (connect(visitor->fd, (const void *)&pair->server, pair->size) && errno != EINPROGRESS)) {
		leave(visitor);
		return;
	}
	watch(visitor->fd, EPOLLOUT, visitor - visitors + 1, EPOLL_CTL_ADD);
}

static void ask(struct visitor *visitor)
{
	static const char message[MESSAGE] = "how do you do?";
	if (send(visitor->fd, message, sizeof message, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
		died += visitor->held;
		leave(visitor);
	}
}

static void answered(struct visitor *visitor)
{
	uint64_t took = now() - visitor->began;
	struct tally *tally = tally_of(visitor);
	if (visitor->counted && took < patience) {
		tally->made++;
		tally->late += took > late;
		if (visitor->held && timed < MOST_TIMES)
			times[timed++] = took;
	}
	visitor->asking = 0;
	if (!visitor->held)
		leave(visitor);
}

static void handle(struct visitor *visitor, uint32_t events)
{
	char message[MESSAGE];
	if (visitor->fd < 0)
		return;
	if (events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) { /* connected */
		watch(visitor->fd, EPOLLIN, visitor - visitors + 1, EPOLL_CTL_MOD);
		ask(visitor);
		return;
	}
	ssize_t got = recv(visitor->fd, message, sizeof message, 0);
	if (got > 0) {
		answered(visitor);
	} else if (got == 0 || errno != EAGAIN) {
		died += visitor->held;
		leave(visitor);
	}
}

/* The next question of a held connection that has none under way; one that stays unanswered for long is given up. */
static void ask_in_turn(void)
{
	static int turn;
	for (int tried = 0; tried < HELD; tried++) {
		struct visitor *visitor = &visitors[turn++ % HELD];
		if (visitor->fd >= 0 && !visitor->asking) {
			begin(visitor);
			ask(visitor);
			return;
		}
	}
}

static void connect_anew(void)
{
	static int number;
	for (int tried = 0; tried < MOST_NEW; tried++) {
		struct visitor *visitor = &visitors[HELD + number++ % MOST_NEW];
		if (visitor->fd >= 0 && now() - visitor->began > patience)
			leave(visitor);
		if (visitor->fd < 0) {
			open_connection(visitor, number, 0);
			return;
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
	return (first > second) - (first < second);
}

static unsigned long percentile(int percent)
{
	return timed ? times[timed * percent / 100] : 0;
}

static void report(void)
{
	int alive = 0;
	for (int i = 0; i < HELD; i++)
		alive += visitors[i].fd >= 0;
	qsort(times, timed, sizeof *times, compare);
	printf("{\"held\": {\"connections\": %d, \"alive\": %d, \"asked\": %lu, \"made\": %lu, \"late\": %lu}, "
	       "\"new\": {\"asked\": %lu, \"made\": %lu, \"late\": %lu}, \"round_trips\": [%lu, %lu, %lu, %lu]}\n",
	       HELD, alive, held.asked, held.made, held.late, new.asked, new.made, new.late,
	       percentile(10), percentile(50), percentile(90), percentile(99));
	fflush(stdout);
}

/* Whether something that counts is still under way, and may still be answered in time. */
static int under_way(void)
{
	uint64_t time = now();
	for (int i = 0; i < HELD + MOST_NEW; i++)
		if (visitors[i].asking && visitors[i].counted && time - visitors[i].began < patience)
			return 1;
	return 0;
}

/* What standard input says; 0 at its end. */
static int obey(int *ending)
{
	char words[64];
	ssize_t got = read(0, words, sizeof words);
	if (got <= 0)
		return 0;
	if (words[0] == 'b') {
		memset(&held, 0, sizeof held);
		memset(&new, 0, sizeof new);
		timed = 0;
		counting = 1;
	} else {
		counting = 0;
		*ending = 1;
	}
	return 1;
}

static int visit(void)
{
	int ending = 0;
	for (int i = HELD; i < HELD + MOST_NEW; i++)
		visitors[i].fd = -1;
	for (int i = 0; i < HELD; i++)
		open_connection(&visitors[i], i, 1);
	watch(0, EPOLLIN, 0, EPOLL_CTL_ADD);
	uint64_t next_ask = now(), next_connect = next_ask;
	for (;;) {
		struct epoll_event events[EVENTS];
		uint64_t time = now(), due = next_ask < next_connect ? next_ask : next_connect;
		uint64_t left = due > time ? due - time : 0;
		struct timespec wait = {left / 1000000000, left % 1000000000};
		int count = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
		for (int i = 0; i < count; i++) {
			if (events[i].data.u64)
				handle(&visitors[events[i].data.u64 - 1], events[i].events);
			else if (!obey(&ending))
				return 0;
		}
		time = now();
		if (time >= next_ask) {
			ask_in_turn();
			next_ask = time - next_ask > 10 * ask_every ? time + ask_every : next_ask + ask_every;
		}
		if (time >= next_connect) {
			connect_anew();
			next_connect = time - next_connect > 10 * connect_every ? time + connect_every : next_connect + connect_every;
		}
		if (ending && !under_way()) {
			report();
			ending = 0;
		}
	}
}

int main(int count, char **words)
{
	epoll = epoll_create1(0);
	if (count == 3 && !strcmp(words[1], "serve"))
		return serve(atoi(words[2]));
	if (count < 5 || strcmp(words[1], "ask"))
		return 2;
	const char *server = words[3];
	for (int i = 4; i < count && pair_count < MOST_SOURCES; i++) {
		if (!strcmp(words[i], "+")) {
			server = words[++i];
			continue;
		}
		pairs[pair_count].size = address(&pairs[pair_count].server, server, atoi(words[2]));
		address(&pairs[pair_count++].source, words[i], 0);
	}
	return visit();
}
