/* Writes in the two ways that the recorder can only report. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 2 || mkdir(argv[1], 0700) || chdir(argv[1])) return 2;
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    if (ftruncate(fd, 4096) || mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) return 1;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED) return 1;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) return 1;
    FILE *stream = fopen("stream", "w");
    return stream ? fclose(stream) : 1;
}
