/*
 * Power-cut recorder: a library for LD_PRELOAD that writes down everything a process does to the files below one
 * directory, in the order in which it happened, with the bytes. The replayer (PowerCutTrace.swift) then builds what
 * a disk could hold had the power failed at any point of that order.
 *
 *   LETTERLOG_POWERCUT_ROOT   directory whose files are recorded
 *   LETTERLOG_POWERCUT_TRACE  file the records are appended to; it must lie outside the root
 *   LETTERLOG_POWERCUT_ACKS   optional file; what the process writes to it is recorded as an acknowledgement
 *
 * Invariants
 * - Order. One lock is held around the real call and its record, so the order of records is the order of effects.
 *   Two calls are not held under it, because they take as long as the disk does and holding it would hide every
 *   interleaving with them: a sync is recorded when it begins and when it ends (only what was written before the
 *   beginning is covered, and only from the end on), and so is a write through an O_DSYNC descriptor.
 * - One record is one write(2) to an O_APPEND descriptor, so several processes can share a trace. Between processes
 *   the order is causal only: what A told B before B acted stands before it.
 * - Files are known by device and inode, not by descriptor: dup, fork and descriptor reuse need no bookkeeping, and
 *   close(2) and lseek(2) need no record. The offset of write(2) is asked from the kernel after the call.
 *
 * Not seen, and therefore reported as an `unsupported` record where it can be detected: writable shared mappings,
 * stdio streams opened for writing (glibc does not go through the symbol table for them), splice. LMDB's lock.mdb is
 * such a mapping; LMDB makes it anew at the first open after a crash. Raw syscall(2) and io_uring cannot be detected.
 *
 * Rejected: ptrace or dm-log-writes (need privileges or a block device and are slower); recording by descriptor
 * number (every dup, dup2, fcntl and close_range would have to be followed).
 *
 * Record, little endian: u32 magic 'LLPC', u32 octets in all, u8 type, u8 flags, u16 path octets, u16 path2 octets,
 * u16 zero, u64 inode, i64 a, i64 b, u64 payload octets, path, path2, payload. Types are the enum below.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    rec_open = 1, rec_write = 2, rec_truncate = 3, rec_allocate = 4, rec_sync_begin = 5, rec_sync_end = 6,
    rec_rename = 7, rec_unlink = 8, rec_mkdir = 9, rec_link = 10, rec_ack = 11, rec_unsupported = 12,
    rec_symlink = 13, rec_times = 14,
};
enum { open_created = 1, open_truncated = 2, open_directory = 4, open_unnamed = 8 };
enum { write_synchronous = 1 };
enum { allocate_keep_size = 1, allocate_zero = 2 };
enum { sync_data = 0, sync_full = 1, sync_range = 2, sync_filesystem = 3 };
enum { rename_exchange = 1 };

struct __attribute__((packed)) header {
    uint32_t magic, length;
    uint8_t type, flags;
    uint16_t path_length, path2_length, zero;
    uint64_t inode;
    int64_t a, b;
    uint64_t payload_length;
};

/* The next definition of a function in link order; looked up once. */
#define REAL(ret, name, ...)                                                                                           \
    static ret (*real)(__VA_ARGS__);                                                                                   \
    if (!real) real = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace_fd = -1;
static char root[PATH_MAX], acks[PATH_MAX];
static size_t root_length;
static int64_t token_last;

/* ---- the set of known inodes: open addressing, grows, never shrinks; state 1 = below the root, 2 = acks file ---- */
struct known { uint64_t device, inode; int state; };
static struct known *table;
static size_t table_size, table_used;

static struct known *table_slot(uint64_t device, uint64_t inode) {
    size_t i = (inode * 0x9E3779B97F4A7C15ull ^ device) & (table_size - 1);
    while (table[i].inode && !(table[i].inode == inode && table[i].device == device)) i = (i + 1) & (table_size - 1);
    return &table[i];
}

static void table_set(const struct stat *st, int state) {
    if ((table_used + 1) * 2 > table_size) {
        struct known *old = table;
        size_t old_size = table_size;
        table_size = old_size ? old_size * 2 : 1024;
        table = calloc(table_size, sizeof *table);
        if (!table) abort();
        for (size_t i = 0; i < old_size; i++)
            if (old[i].inode) *table_slot(old[i].device, old[i].inode) = old[i];
        free(old);
    }
    struct known *slot = table_slot(st->st_dev, st->st_ino);
    if (!slot->inode) table_used++;
    *slot = (struct known){st->st_dev, st->st_ino, state};
}

static int table_get(const struct stat *st) {
    return table_size ? table_slot(st->st_dev, st->st_ino)->state : 0;
}

/* ---- paths ---- */

/* Absolute path of the entry `path` names: its folder resolved, its last component as it is. 0 when impossible. */
static int entry_path(int dirfd, const char *path, char out[PATH_MAX]) {
    char joined[PATH_MAX], folder[PATH_MAX];
    if (!path || !*path) return 0;
    if (*path == '/' || dirfd == AT_FDCWD) {
        if (snprintf(joined, sizeof joined, "%s", path) >= (int)sizeof joined) return 0;
    } else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t n = readlink(link, base, sizeof base - 1);
        if (n < 0) return 0;
        base[n] = 0;
        if (snprintf(joined, sizeof joined, "%s/%s", base, path) >= (int)sizeof joined) return 0;
    }
    size_t n = strlen(joined);
    while (n > 1 && joined[n - 1] == '/') joined[--n] = 0;
    char *slash = strrchr(joined, '/');
    const char *name = slash ? slash + 1 : joined;
    if (!strcmp(name, ".") || !strcmp(name, "..") || !*name) return realpath(joined, out) != NULL;
    if (slash == joined) strcpy(folder, "/");
    else if (slash) { *slash = 0; if (!realpath(joined, folder)) return 0; }
    else if (!realpath(".", folder)) return 0;
    return snprintf(out, PATH_MAX, "%s/%s", strcmp(folder, "/") ? folder : "", name) < PATH_MAX;
}

/* The part of an absolute path below the root, "" for the root itself, NULL when it is outside. */
static const char *below_root(const char *path) {
    if (!root_length || strncmp(path, root, root_length)) return NULL;
    if (!path[root_length]) return path + root_length;
    return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

/* ---- records; every function below is called with the lock held ---- */

static void record(int type, int flags, uint64_t inode, int64_t a, int64_t b, const char *path, const char *path2,
                   const struct iovec *payload, int payload_count, size_t payload_length) {
    struct header h = {.magic = 0x43504C4C, .type = type, .flags = flags, .inode = inode, .a = a, .b = b};
    h.path_length = path ? strlen(path) : 0;
    h.path2_length = path2 ? strlen(path2) : 0;
    h.payload_length = payload_length;
    h.length = sizeof h + h.path_length + h.path2_length + payload_length;
    static char *buffer;
    static size_t capacity;
    if (capacity < h.length) {
        capacity = h.length * 2;
        buffer = realloc(buffer, capacity);
        if (!buffer) abort();
    }
    size_t at = 0;
    memcpy(buffer, &h, sizeof h), at += sizeof h;
    if (path) memcpy(buffer + at, path, h.path_length), at += h.path_length;
    if (path2) memcpy(buffer + at, path2, h.path2_length), at += h.path2_length;
    for (int i = 0; i < payload_count && payload_length; i++) {
        size_t n = payload[i].iov_len < payload_length ? payload[i].iov_len : payload_length;
        memcpy(buffer + at, payload[i].iov_base, n), at += n, payload_length -= n;
    }
    REAL(ssize_t, write, int, const void *, size_t);
    /* A trace with a hole would make the proof worthless, so the process ends here. */
    if (real(trace_fd, buffer, h.length) != (ssize_t)h.length) {
        static const char text[] = "powercut recorder: cannot append to the trace\n";
        (void)!real(2, text, sizeof text - 1);
        abort();
    }
}

static void record_plain(int type, int flags, uint64_t inode, int64_t a, int64_t b, const char *path) {
    record(type, flags, inode, a, b, path, NULL, NULL, 0, 0);
}

__attribute__((constructor)) static void start(void);
static void fork_before(void) { pthread_mutex_lock(&lock); }
static void fork_after(void) { pthread_mutex_unlock(&lock); }

static void start(void) {
    static int started;
    if (started) return;
    started = 1;
    const char *trace = getenv("LETTERLOG_POWERCUT_TRACE"), *r = getenv("LETTERLOG_POWERCUT_ROOT");
    const char *a = getenv("LETTERLOG_POWERCUT_ACKS");
    if (!trace || !r || !entry_path(AT_FDCWD, r, root)) return;
    char resolved[PATH_MAX];
    if (realpath(root, resolved)) strcpy(root, resolved);
    if (a && !entry_path(AT_FDCWD, a, acks)) *acks = 0;
    REAL(int, open, const char *, int, ...);
    int fd = real(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) { perror("powercut recorder: trace"); abort(); }
    /* A high number: programs that close or reuse small descriptors by number do not meet it. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (high >= 0) {
        REAL(int, close, int);
        real(fd);
        fd = high;
    }
    trace_fd = fd;
    root_length = strlen(root);
    pthread_atfork(fork_before, fork_after, fork_after);
}

/* What is recorded of a descriptor: 0 nothing, 1 a file or folder below the root, 2 the acknowledgement file. */
static int kind_of(int fd, struct stat *st) {
    if (trace_fd < 0 || fstat(fd, st) || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) return 0;
    pthread_mutex_lock(&lock);
    int state = table_get(st);
    pthread_mutex_unlock(&lock);
    return state;
}

/* ---- open ---- */

typedef int (*open_call)(int dirfd, const char *path, int flags, mode_t mode);

static int open_recorded(open_call call, int dirfd, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX], resolved[PATH_MAX];
    start();
    if (trace_fd < 0 || !entry_path(dirfd, path, full)) return call(dirfd, path, flags, mode);
    if (realpath(full, resolved)) strcpy(full, resolved);
    const char *rel = below_root(full);
    int is_acks = *acks && !strcmp(full, acks);
    if (!rel && !is_acks) {
        int fd = call(dirfd, path, flags, mode);
        struct stat st;
        /* The inode number of a removed file may have come back for one that is none of ours. */
        if (fd >= 0 && table_used && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
            pthread_mutex_lock(&lock);
            if (table_get(&st)) table_set(&st, 0);
            pthread_mutex_unlock(&lock);
        }
        return fd;
    }
    pthread_mutex_lock(&lock);
    struct stat before, after;
    int existed = !stat(full, &before);
    int fd = call(dirfd, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && !fstat(fd, &after) && (S_ISREG(after.st_mode) || S_ISDIR(after.st_mode))) {
        int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
        table_set(&after, is_acks ? 2 : 1);
        if (!is_acks) {
            int f = (!existed ? open_created : 0) | (S_ISDIR(after.st_mode) ? open_directory : 0);
            if (existed && !unnamed && (flags & O_TRUNC) && before.st_size) f |= open_truncated;
            if (unnamed) f = open_unnamed;
            record_plain(rec_open, f, after.st_ino, after.st_size, flags, rel);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd;
}

static int call_openat(int dirfd, const char *path, int flags, mode_t mode) {
    REAL(int, openat, int, const char *, int, ...);
    return real(dirfd, path, flags, mode);
}

static mode_t mode_argument(int flags, va_list list) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

#define OPEN_VARIANT(name)                                                                                             \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_argument(flags, list);                                                                      \
        va_end(list);                                                                                                  \
        return open_recorded(call_openat, AT_FDCWD, path, flags, mode);                                                \
    }
#define OPENAT_VARIANT(name)                                                                                           \
    int name(int dirfd, const char *path, int flags, ...) {                                                            \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_argument(flags, list);                                                                      \
        va_end(list);                                                                                                  \
        return open_recorded(call_openat, dirfd, path, flags, mode);                                                   \
    }
OPEN_VARIANT(open)
OPEN_VARIANT(open64)
OPENAT_VARIANT(openat)
OPENAT_VARIANT(openat64)
int __open_2(const char *path, int flags) { return open_recorded(call_openat, AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_recorded(call_openat, AT_FDCWD, path, flags, 0); }
int __openat_2(int dirfd, const char *path, int flags) { return open_recorded(call_openat, dirfd, path, flags, 0); }
int __openat64_2(int dirfd, const char *path, int flags) { return open_recorded(call_openat, dirfd, path, flags, 0); }
int creat(const char *path, mode_t mode) {
    return open_recorded(call_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* glibc opens the file of mkstemp by itself, so the loop over names is here. */
static int make_temporary(char *name, int suffix, int flags) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = strlen(name);
    if (n < 6 + (size_t)suffix || strncmp(name + n - suffix - 6, "XXXXXX", 6)) { errno = EINVAL; return -1; }
    static uint64_t state;
    for (int attempt = 0; attempt < 10000; attempt++) {
        uint64_t v = __atomic_add_fetch(&state, 0x9E3779B97F4A7C15ull, __ATOMIC_RELAXED) ^ ((uint64_t)getpid() << 20);
        for (int i = 0; i < 6; i++, v /= 36) name[n - suffix - 6 + i] = letters[v % 36];
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}
int mkstemp(char *name) { return make_temporary(name, 0, 0); }
int mkstemp64(char *name) { return make_temporary(name, 0, 0); }
int mkostemp(char *name, int flags) { return make_temporary(name, 0, flags); }
int mkostemp64(char *name, int flags) { return make_temporary(name, 0, flags); }
int mkstemps(char *name, int suffix) { return make_temporary(name, suffix, 0); }
int mkstemps64(char *name, int suffix) { return make_temporary(name, suffix, 0); }
int mkostemps(char *name, int suffix, int flags) { return make_temporary(name, suffix, flags); }
int mkostemps64(char *name, int suffix, int flags) { return make_temporary(name, suffix, flags); }

static void unsupported(const char *what, const char *rel) {
    char text[PATH_MAX + 64];
    snprintf(text, sizeof text, "%s %s", what, rel);
    struct iovec v = {text, strlen(text)};
    pthread_mutex_lock(&lock);
    record(rec_unsupported, 0, 0, 0, 0, rel, NULL, &v, 1, v.iov_len);
    pthread_mutex_unlock(&lock);
}

static void note_stream(const char *path, const char *mode) {
    char full[PATH_MAX];
    start();
    if (trace_fd < 0 || !strpbrk(mode, "wa+") || !entry_path(AT_FDCWD, path, full)) return;
    const char *rel = below_root(full);
    if (rel) unsupported("stdio stream", rel);
}
FILE *fopen(const char *path, const char *mode) {
    REAL(FILE *, fopen, const char *, const char *);
    note_stream(path, mode);
    return real(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
    REAL(FILE *, fopen64, const char *, const char *);
    note_stream(path, mode);
    return real(path, mode);
}

static void note_mapping(int prot, int flags, int fd) {
    struct stat st;
    if (fd < 0 || !(flags & MAP_SHARED) || !(prot & PROT_WRITE) || kind_of(fd, &st) != 1) return;
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = 0;
    const char *rel = below_root(target);
    unsupported("writable mapping", rel ? rel : "?");
}
void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset) {
    REAL(void *, mmap, void *, size_t, int, int, int, off_t);
    note_mapping(prot, flags, fd);
    return real(address, length, prot, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset) {
    REAL(void *, mmap64, void *, size_t, int, int, int, off_t);
    note_mapping(prot, flags, fd);
    return real(address, length, prot, flags, fd, offset);
}

/* ---- writing ---- */

/* One shape for the eight write calls: `at` < 0 means "at the descriptor's offset". */
typedef ssize_t (*write_call)(int fd, const struct iovec *v, int count, off_t at, int flags);

static ssize_t write_recorded(write_call call, int fd, const struct iovec *v, int count, off_t at, int flags) {
    struct stat st;
    int kind = kind_of(fd, &st);
    if (!kind || S_ISDIR(st.st_mode)) return call(fd, v, count, at, flags);
    size_t total = 0;
    for (int i = 0; i < count; i++) total += v[i].iov_len;
    if (kind == 2) {
        /* Counted from before the call: a process that is about to acknowledge must already be durable. */
        pthread_mutex_lock(&lock);
        record(rec_ack, 0, 0, 0, 0, NULL, NULL, v, count, total);
        ssize_t n = call(fd, v, count, at, flags);
        int saved = errno;
        pthread_mutex_unlock(&lock);
        errno = saved;
        return n;
    }
    int status = fcntl(fd, F_GETFL);
    int appending = status & O_APPEND;
    ssize_t n;
    pthread_mutex_lock(&lock);
    if ((status & O_DSYNC) || (flags & (RWF_DSYNC | RWF_SYNC))) {
        off_t offset = at >= 0 ? at : lseek(fd, 0, SEEK_CUR);
        if (appending) { fstat(fd, &st); offset = st.st_size; }
        int64_t token = ((int64_t)getpid() << 32) | (uint32_t)++token_last;
        record(rec_write, write_synchronous, st.st_ino, offset, token, NULL, NULL, v, count, total);
        /* Two writers at the descriptor's own offset must not swap, so only positioned writes leave the lock. */
        if (at >= 0 && !appending) pthread_mutex_unlock(&lock);
        n = call(fd, v, count, at, flags);
        int saved = errno;
        if (at >= 0 && !appending) pthread_mutex_lock(&lock);
        record_plain(rec_sync_end, 0, st.st_ino, n, token, NULL);
        pthread_mutex_unlock(&lock);
        errno = saved;
        return n;
    }
    n = call(fd, v, count, at, flags);
    int saved = errno;
    if (n > 0) {
        off_t offset = at;
        if (at < 0) offset = lseek(fd, 0, SEEK_CUR) - n;
        else if (appending) { fstat(fd, &st); offset = st.st_size - n; }  /* Linux appends even for pwrite */
        record(rec_write, 0, st.st_ino, offset, 0, NULL, NULL, v, count, n);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return n;
}

static ssize_t call_write(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, v[0].iov_base, v[0].iov_len);
}
static ssize_t call_pwrite(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return real(fd, v[0].iov_base, v[0].iov_len, at);
}
static ssize_t call_writev(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return real(fd, v, count);
}
static ssize_t call_pwritev(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    return real(fd, v, count, at);
}
static ssize_t call_pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, pwritev2, int, const struct iovec *, int, off_t, int);
    return real(fd, v, count, at, flags);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec v = {(void *)bytes, length};
    return write_recorded(call_write, fd, &v, 1, -1, 0);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    struct iovec v = {(void *)bytes, length};
    return write_recorded(call_pwrite, fd, &v, 1, at, 0);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *v, int count) { return write_recorded(call_writev, fd, v, count, -1, 0); }
ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at) {
    return write_recorded(call_pwritev, fd, v, count, at, 0);
}
ssize_t pwritev64(int fd, const struct iovec *v, int count, off_t at) { return pwritev(fd, v, count, at); }
ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    return write_recorded(call_pwritev2, fd, v, count, at, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    return pwritev2(fd, v, count, at, flags);
}

/* What a copying call put into `fd` is read back from the file: the kernel moved it, we never saw the bytes. */
static void record_copied(int fd, const struct stat *st, off_t at, ssize_t length) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    REAL(int, open, const char *, int, ...);
    int source = real(link, O_RDONLY | O_CLOEXEC);
    char *bytes = malloc(length);
    if (source < 0 || !bytes || pread(source, bytes, length, at) != length) abort();
    struct iovec v = {bytes, length};
    record(rec_write, 0, st->st_ino, at, 0, NULL, NULL, &v, 1, length);
    free(bytes);
    close(source);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    struct stat st;
    if (kind_of(out, &st) != 1) return real(in, in_at, out, out_at, length, flags);
    pthread_mutex_lock(&lock);
    ssize_t n = real(in, in_at, out, out_at, length, flags);
    int saved = errno;
    if (n > 0) record_copied(out, &st, (out_at ? *out_at : lseek(out, 0, SEEK_CUR)) - n, n);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return n;
}

ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    struct stat st;
    if (kind_of(out, &st) != 1) return real(out, in, at, length);
    pthread_mutex_lock(&lock);
    ssize_t n = real(out, in, at, length);
    int saved = errno;
    if (n > 0) record_copied(out, &st, lseek(out, 0, SEEK_CUR) - n, n);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return n;
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t length) { return sendfile(out, in, (off_t *)at, length); }

int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    struct stat st;
    if (kind_of(fd, &st) != 1) return real(fd, size);
    pthread_mutex_lock(&lock);
    int result = real(fd, size), saved = errno;
    if (!result) record_plain(rec_truncate, 0, st.st_ino, size, 0, NULL);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
int truncate(const char *path, off_t size) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate(fd, size), saved = errno;
    close(fd);
    errno = saved;
    return result;
}
int truncate64(const char *path, off_t size) { return truncate(path, size); }

static void record_allocation(const struct stat *st, int mode, off_t at, off_t length) {
    int flags = mode & FALLOC_FL_KEEP_SIZE ? allocate_keep_size : 0;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) flags |= allocate_zero;
    record_plain(rec_allocate, flags, st->st_ino, at, length, NULL);
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) abort(); /* moves bytes: not modelled */
}
int fallocate(int fd, int mode, off_t at, off_t length) {
    REAL(int, fallocate, int, int, off_t, off_t);
    struct stat st;
    if (kind_of(fd, &st) != 1) return real(fd, mode, at, length);
    pthread_mutex_lock(&lock);
    int result = real(fd, mode, at, length), saved = errno;
    if (!result) record_allocation(&st, mode, at, length);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int fallocate64(int fd, int mode, off_t at, off_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) {
    REAL(int, posix_fallocate, int, off_t, off_t);
    struct stat st;
    if (kind_of(fd, &st) != 1) return real(fd, at, length);
    pthread_mutex_lock(&lock);
    int result = real(fd, at, length);
    if (!result) record_allocation(&st, 0, at, length);
    pthread_mutex_unlock(&lock);
    return result;
}
int posix_fallocate64(int fd, off_t at, off_t length) { return posix_fallocate(fd, at, length); }

/* ---- syncing ---- */

static int sync_recorded(int kind, int fd, int (*call)(int)) {
    struct stat st;
    if (kind_of(fd, &st) != 1) return call(fd);
    pthread_mutex_lock(&lock);
    int64_t token = ((int64_t)getpid() << 32) | (uint32_t)++token_last;
    record_plain(rec_sync_begin, 0, st.st_ino, kind, token, NULL);
    pthread_mutex_unlock(&lock);
    int result = call(fd), saved = errno;
    pthread_mutex_lock(&lock);
    record_plain(rec_sync_end, 0, st.st_ino, result, token, NULL);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
static int call_fdatasync(int fd) { REAL(int, fdatasync, int); return real(fd); }
static int call_fsync(int fd) { REAL(int, fsync, int); return real(fd); }
static int call_syncfs(int fd) { REAL(int, syncfs, int); return real(fd); }
int fdatasync(int fd) { return sync_recorded(sync_data, fd, call_fdatasync); }
int fsync(int fd) { return sync_recorded(sync_full, fd, call_fsync); }
int syncfs(int fd) { return sync_recorded(sync_filesystem, fd, call_syncfs); }
int sync_file_range(int fd, off64_t at, off64_t length, unsigned flags) {
    REAL(int, sync_file_range, int, off64_t, off64_t, unsigned);
    struct stat st;
    int result = real(fd, at, length, flags), saved = errno;
    if (kind_of(fd, &st) == 1) {
        /* Recorded for the reader's sake only: it promises nothing about a power cut. */
        pthread_mutex_lock(&lock);
        record_plain(rec_sync_begin, 0, st.st_ino, sync_range, 0, NULL);
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
    return result;
}

/* ---- names ---- */

static int rename_recorded(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    char a[PATH_MAX], b[PATH_MAX];
    start();
    if (trace_fd < 0 || !entry_path(from_fd, from, a) || !entry_path(to_fd, to, b))
        return real(from_fd, from, to_fd, to, flags);
    const char *ra = below_root(a), *rb = below_root(b);
    if (!ra && !rb) return real(from_fd, from, to_fd, to, flags);
    pthread_mutex_lock(&lock);
    int result = real(from_fd, from, to_fd, to, flags), saved = errno;
    if (!result && ra && rb)
        record(rec_rename, flags & RENAME_EXCHANGE ? rename_exchange : 0, 0, 0, 0, ra, rb, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    if (!result && !(ra && rb)) unsupported("rename across the root", ra ? ra : rb);
    errno = saved;
    return result;
}
int rename(const char *from, const char *to) { return rename_recorded(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return rename_recorded(from_fd, from, to_fd, to, 0);
}
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    return rename_recorded(from_fd, from, to_fd, to, flags);
}

static int unlink_recorded(int dirfd, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char full[PATH_MAX];
    start();
    const char *rel = trace_fd >= 0 && entry_path(dirfd, path, full) ? below_root(full) : NULL;
    if (!rel) return real(dirfd, path, flags);
    pthread_mutex_lock(&lock);
    int result = real(dirfd, path, flags), saved = errno;
    if (!result) record_plain(rec_unlink, 0, 0, 0, 0, rel);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int unlink(const char *path) { return unlink_recorded(AT_FDCWD, path, 0); }
int unlinkat(int dirfd, const char *path, int flags) { return unlink_recorded(dirfd, path, flags); }
int rmdir(const char *path) { return unlink_recorded(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int result = unlink(path);
    return result && (errno == EISDIR || errno == EPERM) ? rmdir(path) : result;
}

int mkdirat(int dirfd, const char *path, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    char full[PATH_MAX];
    start();
    const char *rel = trace_fd >= 0 && entry_path(dirfd, path, full) ? below_root(full) : NULL;
    if (!rel) return real(dirfd, path, mode);
    pthread_mutex_lock(&lock);
    int result = real(dirfd, path, mode), saved = errno;
    /* The root itself may be made by the process; it is the image's own folder and always there. */
    if (!result && *rel) record_plain(rec_mkdir, 0, 0, 0, 0, rel);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    char full[PATH_MAX];
    start();
    const char *rel = trace_fd >= 0 && entry_path(to_fd, to, full) ? below_root(full) : NULL;
    if (!rel) return real(from_fd, from, to_fd, to, flags);
    char source[PATH_MAX];
    const char *source_rel = entry_path(from_fd, from, source) ? below_root(source) : NULL;
    pthread_mutex_lock(&lock);
    int result = real(from_fd, from, to_fd, to, flags), saved = errno;
    struct stat st;
    if (!result && !lstat(full, &st)) {
        /* A file made with O_TMPFILE has no name to copy: the replayer then finds it by inode. */
        record(rec_link, 0, st.st_ino, 0, 0, source_rel ? source_rel : "", rel, NULL, 0, 0);
        table_set(&st, 1);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* The target stands in the record as it was given: nothing is said about what it leads to. */
int symlinkat(const char *target, int dirfd, const char *path) {
    REAL(int, symlinkat, const char *, int, const char *);
    char full[PATH_MAX];
    start();
    const char *rel = trace_fd >= 0 && entry_path(dirfd, path, full) ? below_root(full) : NULL;
    if (!rel) return real(target, dirfd, path);
    pthread_mutex_lock(&lock);
    int result = real(target, dirfd, path), saved = errno;
    if (!result) record(rec_symlink, 0, 0, 0, 0, target, rel, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* Times that a program sets; those that a write leaves are the machine's and are not kept. */
int futimens(int fd, const struct timespec times[2]) {
    REAL(int, futimens, int, const struct timespec *);
    struct stat st;
    if (kind_of(fd, &st) != 1) return real(fd, times);
    pthread_mutex_lock(&lock);
    int result = real(fd, times), saved = errno;
    if (!result && !fstat(fd, &st))
        record_plain(rec_times, 0, st.st_ino, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, NULL);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
