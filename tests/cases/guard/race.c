/* Tries to bind or connect to port 9000, which is denied, while the guard looks at port 8999, which is not.
 *
 *   memory       a second thread writes the address over and over again
 *   descriptor   it also exchanges the socket for one of AF_UNIX and back, of which the guard lets the kernel go on
 *
 * race bind|connect memory|descriptor tcp|udp SECONDS; prints how many calls were permitted, how many denied, and how
 * often the race was won. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ALLOWED = 8999, DENIED = 9000, PLACE = 500 };

static volatile struct sockaddr_in address;
static volatile int inet, running = 1, exchanged;
static int local, servers[2];

static void *exchange(void *unused)
{
    while (running) {
        if (exchanged) {
            dup2(local, PLACE);
            address.sin_family = AF_UNIX;
            address.sin_port = htons(DENIED);
            for (volatile int i = 0; i < 2000; i++)
                ;
            address.sin_family = AF_INET;
            dup2(inet, PLACE);
            for (volatile int i = 0; i < 2000; i++)
                ;
        } else {
            int turns = rand() % 500;

            address.sin_port = htons(ALLOWED);
            for (volatile int i = 0; i < turns; i++)
                ;
            address.sin_port = htons(DENIED);
            for (volatile int i = 0; i < turns; i++)
                ;
        }
    }
    return unused;
}

static int port_of(int descriptor, int connects)
{
    struct sockaddr_in name = {0};
    socklen_t length = sizeof(name);

    if (connects)
        getpeername(descriptor, (struct sockaddr *)&name, &length);
    else
        getsockname(descriptor, (struct sockaddr *)&name, &length);
    return ntohs(name.sin_port);
}

int main(int count, char **arguments)
{
    int connects = !strcmp(arguments[1], "connect"), kind = strcmp(arguments[3], "tcp") ? SOCK_DGRAM : SOCK_STREAM;
    long permitted = 0, denied = 0, won = 0;
    time_t end = time(NULL) + atoi(arguments[4]);
    struct linger at_once = {1, 0};
    pthread_t second;

    exchanged = !strcmp(arguments[2], "descriptor");
    local = socket(AF_UNIX, kind, 0);
    for (int index = 0; connects && index < 2; index++) {
        struct sockaddr_in here = {AF_INET, htons(ALLOWED + index), {htonl(INADDR_LOOPBACK)}};

        servers[index] = socket(AF_INET, kind | SOCK_NONBLOCK, 0);
        if (bind(servers[index], (struct sockaddr *)&here, sizeof(here)))
            return perror("server"), 1;
        listen(servers[index], 16);
    }
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet = socket(AF_INET, kind, 0);
    dup2(inet, PLACE);
    pthread_create(&second, NULL, exchange, NULL);
    while (time(NULL) < end) {
        int failed = connects ? connect(PLACE, (struct sockaddr *)&address, sizeof(address))
                              : bind(PLACE, (struct sockaddr *)&address, sizeof(address));

        permitted += !failed;
        denied += failed && errno == EPERM;
        if (port_of(inet, connects) == DENIED)
            won++;
        if (port_of(inet, connects)) {
            int old = inet, fresh = socket(AF_INET, kind, 0);

            setsockopt(old, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
            inet = fresh;
            dup2(fresh, PLACE);
            usleep(exchanged ? 50 : 0);
            close(old);
            for (int index = 0; connects && index < 2; index++)
                close(accept(servers[index], NULL, NULL));
        }
    }
    running = 0;
    printf("%ld %ld %ld\n", permitted, denied, won);
    return 0;
}
