/*
 * Does one file operation per line of standard input and prints what came of it: the return value, or the errno's name.
 *   open PATH | dsync PATH | write N | pwrite AT N | writev N | allocate N | fdatasync | fsync | truncate N
 *   rename A B | rules TEXT (put into $LETTERLOG_FAULTS, ; becomes a line's end)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    char line[1024], word[16], a[512], b[512];
    int fd = -1;
    memset(block, 'x', sizeof block);
    while (fgets(line, sizeof line, stdin)) {
        *a = *b = 0;
        if (sscanf(line, "%15s %511s %511s", word, a, b) < 1) continue;
        long n = atol(a), m = atol(b), result = -2;
        errno = 0;
        if (!strcmp(word, "open")) result = (fd = open(a, O_RDWR | O_CREAT, 0600)) >= 0 ? 0 : -1;
        else if (!strcmp(word, "dsync")) result = (fd = open(a, O_RDWR | O_CREAT | O_DSYNC, 0600)) >= 0 ? 0 : -1;
        else if (!strcmp(word, "write")) result = write(fd, block, n);
        else if (!strcmp(word, "pwrite")) result = pwrite(fd, block, m, n);
        else if (!strcmp(word, "writev")) {
            struct iovec v[2] = {{block, n / 3}, {block, n - n / 3}};
            result = writev(fd, v, 2);
        } else if (!strcmp(word, "allocate")) result = fallocate(fd, 0, 0, n);
        else if (!strcmp(word, "fdatasync")) result = fdatasync(fd);
        else if (!strcmp(word, "fsync")) result = fsync(fd);
        else if (!strcmp(word, "truncate")) result = ftruncate(fd, n);
        else if (!strcmp(word, "rename")) result = rename(a, b);
        else if (!strcmp(word, "rules")) {
            FILE *rules = fopen(getenv("LETTERLOG_FAULTS"), "w");
            char *text = line + 6;
            for (char *c = text; *c; c++) if (*c == ';') *c = '\n';
            fputs(text, rules);
            result = fclose(rules);
        }
        if (result >= 0) printf("%ld\n", result);
        else puts(strerrorname_np(errno));
        fflush(stdout);
    }
    return 0;
}
