/*
 * Fault injector: a library for LD_PRELOAD that makes chosen calls of a process fail, as a bad or full disk would.
 *
 *   LETTERLOG_FAULTS      the control file: one rule a line. It is read again when it changes, so that a test can arm a
 *                         fault in a running process; no file, or an empty one, means no faults. Write it beside and
 *                         rename it into place, or in one write.
 *   LETTERLOG_FAULTS_LOG  optional file; each fault that fires adds the line `CALL PATH OUTCOME`
 *
 * Rules, words separated by blanks, # begins a comment:
 *   CALL SUBSTRING OUTCOME NTH [always]
 *     CALL       fdatasync fsync syncfs, write pwrite writev pwritev (pwritev2 counts as pwritev), fallocate (also
 *                posix_fallocate), ftruncate, copy_file_range, sendfile, open, rename, unlink, mkdir, link; anysync and
 *                anywrite stand for their groups. The 64-bit names are the same calls.
 *     SUBSTRING  of the file's absolute path (for rename: the old or the new one); * is every regular file and folder
 *     OUTCOME    EIO ENOSPC EDQUOT EINTR EROFS EMFILE: the call is not made and fails so; `short`: a write writes half
 *                of its octets; `kill`: the process gets SIGKILL in place of the call; `after`: SIGKILL after the call
 *     NTH        the rule fires at the NTH matching call since it was read, from 1; with `always` at each later one too
 *   space SUBSTRING ERRNO OCTETS
 *     The matching files together may grow by OCTETS more. The write that crosses the limit is short, later growth
 *     fails; fallocate fails whole. Writing inside the present size costs nothing, as on a disk with blocks allocated.
 *
 * Counters begin again when the file is read again. The first rule that fires decides.
 * A failed sync is not made at all, so the page cache keeps what was written: only the recorder (which stands before
 * this library in LD_PRELOAD and sees the failure) can show what the disk would have lost.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(ret, name, ...)                                                                                           \
    static ret (*real)(__VA_ARGS__);                                                                                   \
    if (!real) real = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

enum { rules_max = 32, outcome_short = -1, outcome_kill = -2, outcome_after = -3 };

struct rule {
    char call[24], substring[256];
    int outcome, always, is_space;
    long nth, seen;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[rules_max];
static int rule_count;
static struct stat rules_stat;

static const struct { const char *name; int value; } outcomes[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR}, {"EROFS", EROFS}, {"EMFILE", EMFILE},
    {"short", outcome_short}, {"kill", outcome_kill}, {"after", outcome_after},
};

static const char *outcome_name(int value) {
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (outcomes[i].value == value) return outcomes[i].name;
    return "?";
}

/* A rule that cannot be read would make a test pass for the wrong reason. */
static void refuse(const char *line) {
    fprintf(stderr, "faults: cannot read the rule: %s\n", line);
    abort();
}

static void read_rules(const char *path) {
    struct stat st;
    if (stat(path, &st)) { rule_count = 0; rules_stat.st_ino = 0; return; }
    if (st.st_ino == rules_stat.st_ino && st.st_size == rules_stat.st_size &&
        st.st_mtim.tv_sec == rules_stat.st_mtim.tv_sec && st.st_mtim.tv_nsec == rules_stat.st_mtim.tv_nsec) return;
    rules_stat = st;
    rule_count = 0;
    FILE *file = fopen(path, "re");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "#\n")] = 0;
        char outcome[24], always[24] = "";
        struct rule r = {0};
        int n = sscanf(line, "%23s %255s %23s %ld %23s", r.call, r.substring, outcome, &r.nth, always);
        if (n <= 0) continue;
        for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
            if (!strcmp(outcomes[i].name, outcome)) r.outcome = outcomes[i].value;
        r.always = !strcmp(always, "always");
        r.is_space = !strcmp(r.call, "space");
        if (n < 4 || !r.outcome || (n == 5 && !r.always) || rule_count == rules_max) refuse(line);
        rules[rule_count++] = r;
    }
    if (file) fclose(file);
}

static void note(const char *call, const char *path, int outcome) {
    const char *log = getenv("LETTERLOG_FAULTS_LOG");
    if (!log) return;
    char text[PATH_MAX + 64];
    int n = snprintf(text, sizeof text, "%s %s %s\n", call, path, outcome_name(outcome));
    REAL(int, open, const char *, int, ...);
    int fd = real(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    {
        REAL(ssize_t, write, int, const void *, size_t);
        (void)!real(fd, text, n);
    }
    close(fd);
}

static int names_call(const char *rule, const char *call) {
    if (!strcmp(rule, call)) return 1;
    if (!strcmp(rule, "anysync")) return strstr(call, "sync") != NULL;
    return !strcmp(rule, "anywrite") && strstr(call, "write") != NULL;
}

/* The outcome for this call: 0 none. `growth` is by how much it would grow the file; what may grow is left in it. */
static int decide(const char *call, const char *path, const char *path2, size_t *growth) {
    const char *control = getenv("LETTERLOG_FAULTS");
    if (!control) return 0;
    int outcome = 0;
    pthread_mutex_lock(&lock);
    read_rules(control);
    for (int i = 0; i < rule_count && !outcome; i++) {
        struct rule *r = &rules[i];
        const char *part = r->substring;
        if (strcmp(part, "*") && !strstr(path, part) && !(path2 && strstr(path2, part))) continue;
        if (r->is_space) {
            if (!growth || !*growth) continue;
            if ((long)*growth > r->nth) { *growth = r->nth; outcome = r->outcome; }
            if (strcmp(call, "fallocate") || !outcome) r->nth -= *growth;
        } else if (names_call(r->call, call)) {
            r->seen++;
            if (r->seen == r->nth || (r->always && r->seen > r->nth)) outcome = r->outcome;
            if (outcome && growth) *growth = 0;
        }
    }
    if (outcome) note(call, path, outcome);
    pthread_mutex_unlock(&lock);
    if (outcome == outcome_kill) kill(getpid(), SIGKILL);
    return outcome;
}

static int path_of(int fd, struct stat *st, char path[PATH_MAX]) {
    if (!getenv("LETTERLOG_FAULTS") || fstat(fd, st) || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return 1;
}

/* What a call that takes only a descriptor shall do: 0 go on, otherwise the outcome. */
static int decide_fd(const char *call, int fd) {
    struct stat st;
    char path[PATH_MAX];
    return path_of(fd, &st, path) ? decide(call, path, NULL, NULL) : 0;
}

/* Makes the call unless the outcome forbids it; `failure` is what a failed call returns. */
#define ACT(outcome, failure, type, expression)                                                                        \
    do {                                                                                                               \
        int o = (outcome);                                                                                             \
        if (o > 0) { errno = o; return failure; }                                                                      \
        type result = (expression);                                                                                    \
        if (o == outcome_after) kill(getpid(), SIGKILL);                                                               \
        return result;                                                                                                 \
    } while (0)

/* ---- writing ---- */

typedef ssize_t (*write_call)(int fd, const struct iovec *v, int count, off_t at, int flags);

static ssize_t write_disturbed(const char *name, write_call call, int fd, const struct iovec *v, int count, off_t at,
                               int flags) {
    struct stat st;
    char path[PATH_MAX];
    if (!path_of(fd, &st, path)) return call(fd, v, count, at, flags);
    size_t total = 0;
    for (int i = 0; i < count; i++) total += v[i].iov_len;
    int status = fcntl(fd, F_GETFL);
    off_t start = status & O_APPEND ? st.st_size : at >= 0 ? at : lseek(fd, 0, SEEK_CUR);
    off_t end = start + (off_t)total;
    size_t growth = end > st.st_size ? end - st.st_size : 0, wanted = growth;
    int outcome = decide(name, path, NULL, &growth);
    size_t allowed = total;
    if (outcome == outcome_short) allowed = total / 2;
    else if (outcome > 0 && growth && growth < wanted) allowed = total - (wanted - growth);
    else if (outcome > 0) { errno = outcome; return -1; }
    if (allowed == total) ACT(outcome, -1, ssize_t, call(fd, v, count, at, flags));
    if (!allowed) return 0;
    struct iovec *part = malloc(sizeof *part * count);
    if (!part) abort();
    int parts = 0;
    for (size_t left = allowed; left; parts++) {
        part[parts] = v[parts];
        if (part[parts].iov_len > left) part[parts].iov_len = left;
        left -= part[parts].iov_len;
    }
    ssize_t n = call(fd, part, parts, at, flags);
    free(part);
    return n;
}

static ssize_t call_write(int fd, const struct iovec *v, int count, off_t at, int flags) {
    (void)count, (void)at, (void)flags;
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, v[0].iov_base, v[0].iov_len);
}
static ssize_t call_pwrite(int fd, const struct iovec *v, int count, off_t at, int flags) {
    (void)count, (void)flags;
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return real(fd, v[0].iov_base, v[0].iov_len, at);
}
static ssize_t call_writev(int fd, const struct iovec *v, int count, off_t at, int flags) {
    (void)at, (void)flags;
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return real(fd, v, count);
}
static ssize_t call_pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    REAL(ssize_t, pwritev2, int, const struct iovec *, int, off_t, int);
    return real(fd, v, count, at, flags);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec v = {(void *)bytes, length};
    return write_disturbed("write", call_write, fd, &v, 1, -1, 0);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    struct iovec v = {(void *)bytes, length};
    return write_disturbed("pwrite", call_pwrite, fd, &v, 1, at, 0);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *v, int count) {
    return write_disturbed("writev", call_writev, fd, v, count, -1, 0);
}
ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    return write_disturbed("pwritev", call_pwritev2, fd, v, count, at, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec *v, int count, off_t at, int flags) {
    return pwritev2(fd, v, count, at, flags);
}
ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at) { return pwritev2(fd, v, count, at, 0); }
ssize_t pwritev64(int fd, const struct iovec *v, int count, off_t at) { return pwritev2(fd, v, count, at, 0); }

static int decide_growth(const char *call, int fd, off_t end) {
    struct stat st;
    char path[PATH_MAX];
    if (!path_of(fd, &st, path)) return 0;
    size_t growth = end > st.st_size ? end - st.st_size : 0;
    return decide(call, path, NULL, &growth);
}
int fallocate(int fd, int mode, off_t at, off_t length) {
    REAL(int, fallocate, int, int, off_t, off_t);
    ACT(decide_growth("fallocate", fd, mode & ~FALLOC_FL_KEEP_SIZE ? 0 : at + length), -1, int,
        real(fd, mode, at, length));
}
int fallocate64(int fd, int mode, off_t at, off_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) {
    REAL(int, posix_fallocate, int, off_t, off_t);
    int outcome = decide_growth("fallocate", fd, at + length);
    ACT(outcome, outcome, int, real(fd, at, length));
}
int posix_fallocate64(int fd, off_t at, off_t length) { return posix_fallocate(fd, at, length); }
int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    ACT(decide_fd("ftruncate", fd), -1, int, real(fd, size));
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    off_t start = out_at ? *out_at : lseek(out, 0, SEEK_CUR);
    ACT(decide_growth("copy_file_range", out, start + length), -1, ssize_t,
        real(in, in_at, out, out_at, length, flags));
}
ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    struct stat st;
    if (fstat(out, &st) || !S_ISREG(st.st_mode)) return real(out, in, at, length);
    ACT(decide_growth("sendfile", out, lseek(out, 0, SEEK_CUR) + length), -1, ssize_t, real(out, in, at, length));
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t length) { return sendfile(out, in, (off_t *)at, length); }

/* ---- syncing ---- */

int fdatasync(int fd) { REAL(int, fdatasync, int); ACT(decide_fd("fdatasync", fd), -1, int, real(fd)); }
int fsync(int fd) { REAL(int, fsync, int); ACT(decide_fd("fsync", fd), -1, int, real(fd)); }
int syncfs(int fd) { REAL(int, syncfs, int); ACT(decide_fd("syncfs", fd), -1, int, real(fd)); }

/* ---- names: the path as the caller gave it, put behind the folder it is relative to ---- */

static int decide_path(const char *call, int dirfd, const char *path, int dirfd2, const char *path2) {
    char full[2][PATH_MAX];
    const char *paths[2] = {path, path2};
    int folders[2] = {dirfd, dirfd2};
    if (!getenv("LETTERLOG_FAULTS")) return 0;
    for (int i = 0; i < 2 && paths[i]; i++) {
        char base[PATH_MAX] = "";
        if (*paths[i] != '/') {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folders[i]);
            ssize_t n = folders[i] == AT_FDCWD ? -1 : readlink(link, base, sizeof base - 1);
            if (folders[i] == AT_FDCWD && getcwd(base, sizeof base)) n = strlen(base);
            base[n < 0 ? 0 : n] = 0;
        }
        if (snprintf(full[i], PATH_MAX, "%s%s%s", base, *base ? "/" : "", paths[i]) >= PATH_MAX) return 0;
    }
    return decide(call, full[0], path2 ? full[1] : NULL, NULL);
}

static int open_disturbed(int dirfd, const char *path, int flags, mode_t mode) {
    REAL(int, openat, int, const char *, int, ...);
    ACT(decide_path("open", dirfd, path, 0, NULL), -1, int, real(dirfd, path, flags, mode));
}
static mode_t mode_argument(int flags, va_list list) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}
#define OPEN_VARIANT(name, folder, ...)                                                                                \
    int name(__VA_ARGS__, ...) {                                                                                       \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_argument(flags, list);                                                                      \
        va_end(list);                                                                                                  \
        return open_disturbed(folder, path, flags, mode);                                                              \
    }
OPEN_VARIANT(open, AT_FDCWD, const char *path, int flags)
OPEN_VARIANT(open64, AT_FDCWD, const char *path, int flags)
OPEN_VARIANT(openat, dirfd, int dirfd, const char *path, int flags)
OPEN_VARIANT(openat64, dirfd, int dirfd, const char *path, int flags)
int creat(const char *path, mode_t mode) { return open_disturbed(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    ACT(decide_path("rename", from_fd, from, to_fd, to), -1, int, real(from_fd, from, to_fd, to, flags));
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return renameat2(from_fd, from, to_fd, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int unlinkat(int dirfd, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    ACT(decide_path("unlink", dirfd, path, 0, NULL), -1, int, real(dirfd, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int mkdirat(int dirfd, const char *path, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    ACT(decide_path("mkdir", dirfd, path, 0, NULL), -1, int, real(dirfd, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    ACT(decide_path("link", from_fd, from, to_fd, to), -1, int, real(from_fd, from, to_fd, to, flags));
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
