/*
 * fsync-bench DIRECTORY: prints F, the time that the directory's file system takes to make an append durable: the
 * median of 200 times (append of 4 KiB, fdatasync) to a file of its own, without a name. One line of JSON.
 */
#include "load.h"

enum { rounds = 200, append_octets = 4096 };

int main(int argc, char **argv) {
    if (argc != 2) fail("usage: fsync-bench DIRECTORY");
    char path[4096], block[append_octets];
    if (snprintf(path, sizeof path, "%s/.fsync-bench-%d", argv[1], getpid()) >= (int)sizeof path) fail("path too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail("cannot write in %s: %s", argv[1], strerror(errno));
    unlink(path);
    memset(block, 'f', sizeof block);
    uint32_t values[rounds];
    struct latencies times = {values, 0};
    for (int i = 0; i < rounds; i++) {
        double start = now();
        if (write(fd, block, sizeof block) != sizeof block || fdatasync(fd)) fail("cannot sync: %s", strerror(errno));
        latency_add(&times, now() - start);
    }
    qsort(values, rounds, sizeof *values, compare_latency);
    printf("{\"F_ms\":%.3f,\"p10_ms\":%.3f,\"p90_ms\":%.3f,\"max_ms\":%.3f}\n",
           (values[rounds / 2 - 1] + values[rounds / 2]) / 2e3, values[rounds / 10] / 1e3,
           values[rounds * 9 / 10] / 1e3, values[rounds - 1] / 1e3);
    return 0;
}
