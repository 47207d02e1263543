/*
 * What the load programs share: options, loopback addresses, latencies, errors, the end of the JSON.
 *
 * The programs share two cores with the server they measure, so they do little: one thread, one epoll, message text
 * prepared once. Every run is bounded in count and in time, and goes to this machine only.
 */
#ifndef LOAD_H
#define LOAD_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { connections_max = 2000, seconds_max = 600, line_octets_max = 4096 };
#define operations_max 10000000L
#define message_octets_max (64L << 20)

static inline void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* The value of --name or --name=value at argv[*i], NULL when this is another option. */
static inline const char *option(int argc, char **argv, int *i, const char *name) {
    size_t n = strlen(name);
    if (strncmp(argv[*i], "--", 2) || strncmp(argv[*i] + 2, name, n)) return NULL;
    const char *rest = argv[*i] + 2 + n;
    if (*rest == '=') return rest + 1;
    if (*rest || *i + 1 >= argc) return NULL;
    return argv[++*i];
}

static inline long number(const char *text, long low, long high, const char *name) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < low || value > high) fail("--%s must be a number from %ld to %ld", name, low, high);
    return value;
}

struct target {
    const char *host, *unix_path;
    int port;
    /* The last octet of the loopback address to come from; 0 leaves it to the system. */
    long source;
};

/* A connected, non-blocking socket. Only loopback and Unix sockets: this is no tool to point at others. */
static inline int connect_target(const struct target *t) {
    struct sockaddr_storage address = {0};
    socklen_t length;
    if (t->unix_path) {
        struct sockaddr_un *a = (void *)&address;
        a->sun_family = AF_UNIX;
        if (strlen(t->unix_path) >= sizeof a->sun_path) fail("the socket's path is too long");
        strcpy(a->sun_path, t->unix_path);
        length = sizeof *a;
    } else {
        struct sockaddr_in *v4 = (void *)&address;
        struct sockaddr_in6 *v6 = (void *)&address;
        const char *host = strcmp(t->host, "localhost") ? t->host : "127.0.0.1";
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
            v4->sin_family = AF_INET;
            v4->sin_port = htons(t->port);
            length = sizeof *v4;
        } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(t->port);
            length = sizeof *v6;
        } else fail("--host must be a loopback address");
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && t->source) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000 + t->source)};
        int late = 1;
        /* A port is chosen when the other end is known, so that there are as many as for each pair of addresses. */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        if (bind(fd, (void *)&own, sizeof own)) fail("cannot come from 127.0.0.%ld: %s", t->source, strerror(errno));
    }
    if (fd < 0 || connect(fd, (void *)&address, length)) fail("cannot connect: %s", strerror(errno));
    int one = 1;
    if (!t->unix_path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static inline int target_option(struct target *t, int argc, char **argv, int *i) {
    const char *v;
    if ((v = option(argc, argv, i, "host"))) t->host = v;
    else if ((v = option(argc, argv, i, "port"))) t->port = number(v, 1, 65535, "port");
    else if ((v = option(argc, argv, i, "unix"))) t->unix_path = v;
    else return 0;
    return 1;
}

/* Writes a pattern with one %d, such as user%d@example.test, without giving it to printf. */
static inline int fill_pattern(char *out, size_t size, const char *pattern, long value) {
    const char *mark = strstr(pattern, "%d");
    if (!mark) return snprintf(out, size, "%s", pattern);
    return snprintf(out, size, "%.*s%ld%s", (int)(mark - pattern), pattern, value, mark + 2);
}

/* Latencies in microseconds, one per operation. */
struct latencies { uint32_t *values; long count; };

static inline struct latencies latencies_of(long count) {
    struct latencies made = {.values = malloc(count * sizeof *made.values)};
    if (!made.values) fail("no memory");
    return made;
}

static inline void latency_add(struct latencies *l, double seconds) {
    l->values[l->count++] = (uint32_t)(seconds * 1e6);
}

static inline int compare_latency(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static inline void latency_print(struct latencies *l, const char *name) {
    qsort(l->values, l->count, sizeof *l->values, compare_latency);
    double at[3] = {0.5, 0.9, 0.99}, ms[3] = {0};
    for (int i = 0; i < 3 && l->count; i++) ms[i] = l->values[(long)(at[i] * (l->count - 1))] / 1e3;
    printf("\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, ms[0], ms[1], ms[2],
           l->count ? l->values[l->count - 1] / 1e3 : 0.0);
}

/* The program's own processor time in seconds, so that a reader sees how much of the machine the load took. */
static inline double own_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Prints text as a JSON string. */
static inline void print_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if ((unsigned char)*text < 32) printf("\\u%04x", *text);
        else putchar(*text);
    }
    putchar('"');
}

/* Commands that failed, and what the server said to the first of them. */
static __attribute__((unused)) long errors;
static __attribute__((unused)) char first_error[256];

static inline void note_error(const char *line) {
    errors++;
    if (!*first_error) snprintf(first_error, sizeof first_error, "%.*s", (int)strcspn(line, "\r\n"), line);
}

/* The end of the line of JSON, which the programs have in common. */
static inline void print_end(void) {
    printf(",\"client_cpu_seconds\":%.3f,\"first_error\":", own_cpu());
    print_text(first_error);
    puts("}");
}
#endif
