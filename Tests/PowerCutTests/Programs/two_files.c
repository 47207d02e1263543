/*
 * The smallest store with the engine's shape: bodies in preallocated segment files, a commit file with two alternating
 * slots written through O_DSYNC, an acknowledgement after the commit. Usage: two_files ROOT ACKS COUNT.
 *
 * A record is 1,300 octets: its number in the first eight, the rest filled with the number's low octet. A segment holds
 * 40. A slot is 512 octets: number of the last record and its complement.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { record_octets = 1300, segment_records = 40, slot_octets = 512 };

static void must(int ok, const char *what) {
    if (!ok) { perror(what); exit(1); }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const char *root = argv[1];
    int count = atoi(argv[3]);
    char path[4096], unfinished[4096];
    mkdir(root, 0700);
    int folder = open(root, O_RDONLY | O_DIRECTORY);
    int acks = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
    snprintf(path, sizeof path, "%s/commit", root);
    int commit = open(path, O_RDWR | O_CREAT, 0600);
    must(folder >= 0 && acks >= 0 && commit >= 0, "open");
    must(!ftruncate(commit, 2 * slot_octets) && !fdatasync(commit) && !fsync(folder), "commit file");
    close(commit);
    commit = open(path, O_WRONLY | O_DSYNC);
    int segment = -1;
    for (uint64_t n = 1; n <= (uint64_t)count; n++) {
        if ((n - 1) % segment_records == 0) {
            if (segment >= 0) close(segment);
            snprintf(unfinished, sizeof unfinished, "%s/new", root);
            snprintf(path, sizeof path, "%s/segment-%d", root, (int)((n - 1) / segment_records));
            segment = open(unfinished, O_RDWR | O_CREAT, 0600);
            must(segment >= 0 && !fallocate(segment, 0, 0, segment_records * record_octets), "segment");
            must(!fsync(segment) && !rename(unfinished, path) && !fsync(folder), "segment name");
        }
        unsigned char record[record_octets], slot[slot_octets] = {0};
        memset(record, (int)(n & 0xFF), sizeof record);
        memcpy(record, &n, sizeof n);
        off_t at = (n - 1) % segment_records * record_octets;
        must(pwrite(segment, record, sizeof record, at) == sizeof record && !fdatasync(segment), "record");
        uint64_t complement = ~n;
        memcpy(slot, &n, 8);
        memcpy(slot + 8, &complement, 8);
        must(pwrite(commit, slot, sizeof slot, n % 2 * slot_octets) == sizeof slot, "commit");
        must(write(acks, &n, 8) == 8, "ack");
    }
    return 0;
}
