/*
 * pop3-load: logs in, lists and fetches whole maildrops over POP3, and prints one line of JSON.
 *
 *   --host 127.0.0.1 --port N | --unix PATH    the server; loopback only
 *   --connections N (1)     sessions at a time; each uses another account, since a maildrop has one reader
 *   --sessions N (100)      sessions in all    --seconds N (60): no new session after that
 *   --users PATTERN (user%d@example.test)   --user-count M (1), at least as many as connections   --password TEXT
 *   --retrieve N (all)      messages fetched per session at most
 *   --delete                DELE each fetched message
 *
 * A session is USER, PASS, STAT, UIDL, RETR of each message, QUIT, one command at a time, as mail readers do.
 * Exit: 0 no error, 1 some command failed, 2 wrong usage or no connection.
 */
#include "load.h"

enum phase { greeting, user, pass, stat_reply, uidl, retr, dele, quit, closed };

struct connection {
    int fd, multiline_open;
    enum phase phase;
    long account, message, count;
    double session_started, command_started;
    char in[65536];
    size_t in_length;
};

static struct target target = {.host = "127.0.0.1"};
static long connections = 1, sessions = 100, seconds = 60, user_count = 1, retrieve = operations_max;
static const char *pattern = "user%d@example.test", *password = "secret";
static int epoll, deleting;
static long started_count, finished, fetched, octets, active;
static double deadline, clock_start;
static struct latencies login, fetching;
static long fetching_max;

static void command(struct connection *c, enum phase phase, const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    c->phase = phase;
    c->command_started = now();
    /* A server that has gone is noticed by the next read. */
    if (write(c->fd, text, n) != n) shutdown(c->fd, SHUT_RDWR);
}

static void begin(struct connection *c) {
    if (started_count >= sessions || (clock_start > 0 && now() > deadline)) return;
    c->fd = connect_target(&target);
    c->phase = greeting;
    c->in_length = c->multiline_open = 0;
    c->session_started = now();
    started_count++;
    active++;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void end(struct connection *c, const char *error) {
    if (error) note_error(error);
    else finished++;
    close(c->fd);
    c->phase = closed;
    active--;
    /* The next account of this connection: accounts c, c + connections, ... are its own. */
    c->account += connections;
    if (c->account >= user_count) c->account %= connections;
    begin(c);
}

static void next_message(struct connection *c) {
    if (++c->message > c->count || c->message > retrieve) command(c, quit, "QUIT\r\n");
    else command(c, retr, "RETR %ld\r\n", c->message);
}

static void reply(struct connection *c, char *line) {
    char name[512];
    if (*line != '+') return end(c, line);
    switch (c->phase) {
    case greeting:
        fill_pattern(name, sizeof name, pattern, c->account);
        return command(c, user, "USER %s\r\n", name);
    case user: return command(c, pass, "PASS %s\r\n", password);
    case pass:
        latency_add(&login, now() - c->session_started);
        return command(c, stat_reply, "STAT\r\n");
    case stat_reply:
        c->count = strtol(line + 4, NULL, 10);
        c->message = 0;
        return command(c, uidl, "UIDL\r\n");
    case uidl:
    case retr: c->multiline_open = 1; return;
    case dele: return next_message(c);
    case quit: return end(c, NULL);
    case closed: return;
    }
}

static void multiline_ended(struct connection *c) {
    c->multiline_open = 0;
    if (c->phase == uidl) return next_message(c);
    fetched++;
    if (fetching.count < fetching_max) latency_add(&fetching, now() - c->command_started);
    if (deleting) command(c, dele, "DELE %ld\r\n", c->message);
    else next_message(c);
}

static void readable(struct connection *c) {
    ssize_t n = read(c->fd, c->in + c->in_length, sizeof c->in - c->in_length);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(c, n ? strerror(errno) : "the server closed the connection");
    c->in_length += n;
    while (c->phase != closed && c->in_length) {
        char *at = c->in;
        size_t used;
        if (!c->multiline_open) {
            char *newline = memchr(at, '\n', c->in_length);
            if (!newline) break;
            used = newline + 1 - at;
            *newline = 0;
            /* The line's end stays in front of what follows: an empty list is ".\r\n" right after it. */
            int fd = c->fd;
            reply(c, at);
            if (c->phase == closed || c->fd != fd || c->phase == greeting) return;
            if (c->multiline_open) { newline[-1] = '\r'; *newline = '\n'; used -= 2; }
        } else {
            char *dot = memmem(at, c->in_length, "\r\n.\r\n", 5);
            used = dot ? (size_t)(dot + 5 - at) : c->in_length > 4 ? c->in_length - 4 : 0;
            if (c->phase == retr) octets += used;
            if (dot) multiline_ended(c);
            else if (!used) break;
        }
        c->in_length -= used;
        memmove(c->in, at + used, c->in_length);
    }
}

static void options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *v;
        if (target_option(&target, argc, argv, &i)) continue;
        if ((v = option(argc, argv, &i, "connections"))) connections = number(v, 1, connections_max, "connections");
        else if ((v = option(argc, argv, &i, "sessions"))) sessions = number(v, 1, operations_max, "sessions");
        else if ((v = option(argc, argv, &i, "seconds"))) seconds = number(v, 1, seconds_max, "seconds");
        else if ((v = option(argc, argv, &i, "users"))) pattern = v;
        else if ((v = option(argc, argv, &i, "user-count"))) user_count = number(v, 1, operations_max, "user-count");
        else if ((v = option(argc, argv, &i, "password"))) password = v;
        else if ((v = option(argc, argv, &i, "retrieve"))) retrieve = number(v, 0, operations_max, "retrieve");
        else if (!strcmp(argv[i], "--delete")) deleting = 1;
        else fail("unknown option %s", argv[i]);
    }
    if (!target.port && !target.unix_path) fail("--port or --unix is needed");
    if (user_count < connections) fail("--user-count must be at least --connections");
    if (strlen(pattern) > 250 || strlen(password) > 250) fail("--users or --password is too long");
}

int main(int argc, char **argv) {
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    fetching_max = 1000000;
    login = latencies_of(sessions + 1);
    fetching = latencies_of(fetching_max);
    struct connection *all = calloc(connections, sizeof *all);
    if (!all) fail("no memory");
    clock_start = now();
    deadline = clock_start + seconds;
    for (long i = 0; i < connections; i++) {
        all[i].account = i;
        all[i].phase = closed;
        begin(&all[i]);
    }
    while (active && now() < deadline + 30) {
        struct epoll_event events[128];
        int n = epoll_wait(epoll, events, 128, 1000);
        for (int i = 0; i < n; i++) readable(events[i].data.ptr);
    }
    double elapsed = now() - clock_start;
    printf("{\"sessions\":%ld,\"messages\":%ld,\"octets\":%ld,\"errors\":%ld,\"connections\":%ld,\"seconds\":%.3f,"
           "\"sessions_per_second\":%.1f,\"messages_per_second\":%.1f,\"mebioctets_per_second\":%.1f,",
           finished, fetched, octets, errors, connections, elapsed, finished / elapsed, fetched / elapsed,
           octets / elapsed / (1 << 20));
    latency_print(&login, "login_ms");
    putchar(',');
    latency_print(&fetching, "retrieve_ms");
    print_end();
    return errors || active || !finished;
}
