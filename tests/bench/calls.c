/* What system calls cost this process: calls BINDS ROUNDS; prints a line of nanoseconds for each of
 *
 *   bind      a TCP socket to a port that the kernel chooses, the median of BINDS
 *   read      4 KiB of a file in memory        |
 *   exchange  a byte there and back, sockets   | the mean of ROUNDS, the fastest of 20 windows
 *   open      and close a file                 |
 *   getppid   which does nothing at all        |
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WINDOWS = 20 };

static int file, pair[2];
static char block[4096];

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int by_value(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static double binds(int count)
{
    struct sockaddr_in here = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    double *took = malloc(count * sizeof(*took));

    for (int i = 0; i < count; i++) {
        int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        double began = now();

        if (bind(descriptor, (struct sockaddr *)&here, sizeof(here)))
            exit(1);
        took[i] = now() - began;
        close(descriptor);
    }
    qsort(took, count, sizeof(*took), by_value);
    return took[count / 2];
}

static void read_file(void)
{
    if (pread(file, block, sizeof(block), 0) < 0)
        exit(1);
}

static void exchange(void)
{
    if (write(pair[0], block, 1) < 0 || read(pair[1], block, 1) < 0)
        exit(1);
}

static void open_file(void)
{
    close(open("/proc/self/exe", O_RDONLY));
}

static void nothing(void)
{
    syscall(SYS_getppid);
}

static double fastest(void (*call)(void), int rounds)
{
    double best = 1e18;

    for (int window = 0; window < WINDOWS; window++) {
        double began = now(), took;

        for (int i = 0; i < rounds; i++)
            call();
        took = (now() - began) / rounds;
        best = took < best ? took : best;
    }
    return best;
}

int main(int count, char **arguments)
{
    int rounds = count > 2 ? atoi(arguments[2]) : 10000;

    file = open("/proc/self/exe", O_RDONLY);
    if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return 1;
    printf("%.1f ", binds(count > 1 ? atoi(arguments[1]) : 1000));
    printf("%.1f %.1f ", fastest(read_file, rounds), fastest(exchange, rounds));
    printf("%.1f %.1f\n", fastest(open_file, rounds), fastest(nothing, rounds));
    return 0;
}
