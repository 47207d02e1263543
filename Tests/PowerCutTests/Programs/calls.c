/* Uses every call the recorder knows, once or more, below the folder given. Nothing is synced unless said. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MUST(what) do { if (!(what)) { perror(#what); exit(1); } } while (0)

static void *writer(void *argument) {
    int fd = open("threads", O_WRONLY);
    long number = (long)argument;
    for (int i = 0; i < 200; i++) {
        char text[64];
        memset(text, 'a' + (number + i) % 26, sizeof text);
        MUST(pwrite(fd, text, sizeof text, (i * 4 + number) * 64) == 64);
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    MUST(!mkdir(argv[1], 0700) && !chdir(argv[1]));
    struct iovec v[2] = {{"vector ", 7}, {"write\n", 6}};

    int fd = open("offset", O_RDWR | O_CREAT, 0600);
    MUST(write(fd, "0123456789", 10) == 10 && lseek(fd, 4, SEEK_SET) == 4 && write(fd, "xx", 2) == 2);
    int other = dup(fd);
    MUST(writev(other, v, 2) == 13 && lseek(fd, 0, SEEK_CUR) == 19);
    MUST(pwrite(fd, "P", 1, 30) == 1 && pwritev(fd, v, 2, 40) == 13 && pwritev2(fd, v, 2, -1, 0) == 13);
    MUST(pwritev2(fd, v, 1, 60, RWF_DSYNC) == 7);
    close(fd);
    MUST(write(other, "after close of the twin", 23) == 23);
    close(other);

    fd = open("append", O_WRONLY | O_CREAT | O_APPEND, 0600);
    MUST(write(fd, "one", 3) == 3 && write(fd, "two", 3) == 3 && pwrite(fd, "three", 5, 0) == 5);
    close(fd);
    fd = open("append", O_WRONLY | O_APPEND | O_DSYNC);
    MUST(write(fd, "four", 4) == 4 && pwrite(fd, "five", 4, 0) == 4);
    close(fd);

    fd = openat(AT_FDCWD, "sizes", O_RDWR | O_CREAT, 0600);
    MUST(!fallocate(fd, 0, 0, 100000) && pwrite(fd, "abc", 3, 50000) == 3 && !ftruncate(fd, 70000));
    MUST(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 70000, 100000) && !posix_fallocate(fd, 0, 80000));
    MUST(pwrite(fd, argv[0], 1, 8192) == 1);
    MUST(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
    MUST(!fdatasync(fd) && !fsync(fd) && !sync_file_range(fd, 0, 10, SYNC_FILE_RANGE_WRITE) && !syncfs(fd));
    close(fd);
    MUST(!truncate("sizes", 60000));

    fd = creat("source", 0600);
    char block[9000];
    for (int i = 0; i < 9000; i++) block[i] = i % 251;
    MUST(write(fd, block, sizeof block) == sizeof block);
    close(fd);
    fd = open("source", O_RDONLY);
    other = open("copied", O_WRONLY | O_CREAT, 0600);
    loff_t from = 100, to = 5000;
    MUST(copy_file_range(fd, &from, other, &to, 4000, 0) == 4000);
    MUST(copy_file_range(fd, NULL, other, NULL, 300, 0) == 300);
    off_t start = 7;
    MUST(sendfile(other, fd, &start, 500) == 500);
    close(fd);
    close(other);

    fd = open("source", O_WRONLY | O_TRUNC);
    MUST(write(fd, "short", 5) == 5);
    close(fd);

    MUST(!mkdir("folder", 0700) && !mkdir("folder/inner", 0700));
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    fd = openat(folder, "inner/file", O_WRONLY | O_CREAT, 0600);
    MUST(write(fd, "moved", 5) == 5);
    MUST(!renameat(folder, "inner/file", AT_FDCWD, "moved") && write(fd, " on", 3) == 3);
    close(fd);
    MUST(!rename("folder/inner", "renamed-folder") && !linkat(AT_FDCWD, "moved", folder, "second-name", 0));
    MUST(!link("append", "append-again") && !fsync(folder));
    fd = open("gone", O_WRONLY | O_CREAT, 0600);
    MUST(!unlink("gone") && write(fd, "x", 1) == 1);
    close(fd);
    MUST(!unlinkat(folder, "second-name", 0) && !mkdirat(folder, "empty", 0700) && !rmdir("folder/empty"));
    MUST(!rename("copied", "sizes-replaced") && !rename("sizes", "sizes-replaced"));
    MUST(creat("left", 0600) >= 0 && creat("right", 0600) >= 0);
    fd = open("left", O_WRONLY);
    MUST(write(fd, "L", 1) == 1 && !renameat2(AT_FDCWD, "left", AT_FDCWD, "right", RENAME_EXCHANGE));
    char temporary[] = "temporary-XXXXXX";
    fd = mkstemp(temporary);
    MUST(fd >= 0 && write(fd, "t", 1) == 1 && !rename(temporary, "kept-temporary"));
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) {
        char link_path[64];
        MUST(write(fd, "unnamed", 7) == 7);
        snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
        MUST(!linkat(AT_FDCWD, link_path, AT_FDCWD, "named-later", AT_SYMLINK_FOLLOW));
    }
    MUST(!remove("append-again"));
    MUST(!symlink("folder/../source", "leads") && !symlink("nowhere", "goes") && !unlink("goes"));
    fd = open("source", O_RDONLY);
    struct timespec times[2] = {{1234567890, 5000}, {1234567890, 5000}};
    MUST(!futimens(fd, times));
    close(fd);

    creat("threads", 0600);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, writer, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}
