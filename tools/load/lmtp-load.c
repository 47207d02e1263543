/*
 * lmtp-load: delivers mail over LMTP (or SMTP) as fast as the server takes it, and prints one line of JSON.
 *
 *   --host 127.0.0.1 --port N | --unix PATH    the server; loopback only
 *   --connections N (1)       --messages N (1000)   --seconds N (60): no new message after that
 *   --size OCTETS (10240)     of each message, header included
 *   --recipients PATTERN (user%d@example.test)   --recipient-count M (1): %d goes round 0..M-1
 *   --per-message K (1)       recipients of each message
 *   --smtp                    EHLO, and one reply after the message in place of one per recipient
 *   --keep-ids FILE           appends the Message-ID of each acknowledged message, for a test that reads them back
 *
 * MAIL, RCPT and DATA go in one write where the server offers PIPELINING. The clock runs from the moment when every
 * connection has its greeting to the last reply. Latency is from MAIL to the last reply to the message.
 * Exit: 0 all acknowledged, 1 some message failed, 2 wrong usage or no connection.
 */
#include "load.h"

enum phase { greeting, hello, ready, mail, recipients, data, text, closed };

struct connection {
    int fd;
    enum phase phase;
    int pipelining, rcpt_left, rcpt_accepted, replies_left, failed, sent_data;
    long message;
    double started;
    char in[line_octets_max];
    size_t in_length;
    char out[16384];
    struct iovec pending[3];
    int pending_count, waiting_to_write;
};

static struct target target = {.host = "127.0.0.1"};
static long connections = 1, messages = 1000, seconds = 60, size = 10240, recipient_count = 1, per_message = 1;
static const char *pattern = "user%d@example.test", *ids_path;
static int smtp, epoll;
static char *body;
static size_t body_length;
static long next_message, done, acknowledged, deliveries, ready_count, open_count, run_id;
static double clock_start, clock_end, deadline;
static struct latencies latency;
static FILE *ids;

static void watch(struct connection *c, int writing) {
    if (c->waiting_to_write == writing) return;
    c->waiting_to_write = writing;
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(struct connection *c, const char *why) {
    if (c->phase == closed) return;
    if (c->phase != ready) note_error(why);
    if (c->phase >= mail) done++;
    if (c->phase < ready) ready_count++;
    close(c->fd);
    c->phase = closed;
    open_count--;
}

static void flush_pending(struct connection *c) {
    while (c->pending_count) {
        ssize_t n = writev(c->fd, c->pending, c->pending_count);
        if (n < 0 && errno == EAGAIN) return watch(c, 1);
        if (n < 0) return drop(c, strerror(errno));
        while (c->pending_count && (size_t)n >= c->pending[0].iov_len) {
            n -= c->pending[0].iov_len;
            memmove(c->pending, c->pending + 1, --c->pending_count * sizeof *c->pending);
        }
        if (c->pending_count) {
            c->pending[0].iov_base = (char *)c->pending[0].iov_base + n;
            c->pending[0].iov_len -= n;
        }
    }
    watch(c, 0);
}

static void send_text(struct connection *c, size_t length) {
    c->pending[0] = (struct iovec){c->out, length};
    c->pending_count = 1;
    flush_pending(c);
}

static size_t put_recipient(struct connection *c, char *out, size_t room, int index) {
    char address[512];
    fill_pattern(address, sizeof address, pattern, (c->message * per_message + index) % recipient_count);
    return snprintf(out, room, "RCPT TO:<%s>\r\n", address);
}

static void next(struct connection *c) {
    if (next_message >= messages || now() > deadline) {
        c->phase = ready;
        if (next_message < messages) messages = next_message;
        return;
    }
    c->message = next_message++;
    c->started = now();
    c->phase = mail;
    c->failed = c->rcpt_accepted = c->sent_data = 0;
    c->rcpt_left = per_message;
    size_t n = snprintf(c->out, sizeof c->out, "MAIL FROM:<load@example.test>\r\n");
    if (c->pipelining) {
        for (int i = 0; i < per_message; i++) n += put_recipient(c, c->out + n, sizeof c->out - n, i);
        n += snprintf(c->out + n, sizeof c->out - n, "DATA\r\n");
        c->sent_data = 1;
    }
    send_text(c, n);
}

static int message_header(struct connection *c, char *out, size_t room) {
    return snprintf(out, room,
                    "From: Load <load@example.test>\r\nTo: someone@example.test\r\nSubject: message %08ld\r\n"
                    "Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <%08ld.%08lx@load.example.test>\r\n"
                    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
                    c->message, c->message, run_id);
}

static void finish(struct connection *c) {
    clock_end = now();
    latency_add(&latency, clock_end - c->started);
    done++;
    if (!c->failed) {
        acknowledged++;
        if (ids) fprintf(ids, "<%08ld.%08lx@load.example.test>\n", c->message, run_id);
    }
    next(c);
}

/* One complete reply line; `last` when no hyphen follows the code. */
static void reply(struct connection *c, const char *line, int last) {
    int good = *line == '2', go_ahead = *line == '3';
    if (c->phase == hello && strstr(line, "PIPELINING")) c->pipelining = 1;
    if (!last) return;
    switch (c->phase) {
    case greeting:
        if (!good) return drop(c, line);
        c->phase = hello;
        return send_text(c, snprintf(c->out, sizeof c->out, "%s load.example.test\r\n", smtp ? "EHLO" : "LHLO"));
    case hello:
        if (!good) return drop(c, line);
        c->phase = ready;
        ready_count++;
        return;
    case mail:
        if (!good) { c->failed = 1; note_error(line); }
        c->phase = recipients;
        if (!c->pipelining) return send_text(c, put_recipient(c, c->out, sizeof c->out, 0));
        return;
    case recipients:
        if (good) c->rcpt_accepted++;
        else if (!c->failed) { c->failed = 1; note_error(line); }
        if (--c->rcpt_left) {
            if (!c->pipelining) send_text(c, put_recipient(c, c->out, sizeof c->out, per_message - c->rcpt_left));
            return;
        }
        c->phase = data;
        if (!c->sent_data) send_text(c, snprintf(c->out, sizeof c->out, "DATA\r\n"));
        return;
    case data:
        if (!go_ahead) {
            if (!c->failed) { c->failed = 1; note_error(line); }
            return finish(c);
        }
        c->phase = text;
        c->replies_left = smtp || !c->rcpt_accepted ? 1 : c->rcpt_accepted;
        c->pending[0] = (struct iovec){c->out, message_header(c, c->out, sizeof c->out)};
        c->pending[1] = (struct iovec){body, body_length};
        c->pending[2] = (struct iovec){".\r\n", 3};
        c->pending_count = 3;
        return flush_pending(c);
    case text:
        if (good) deliveries += smtp ? c->rcpt_accepted : 1;
        else if (!c->failed) { c->failed = 1; note_error(line); }
        if (!--c->replies_left) finish(c);
        return;
    case ready:
    case closed: return;
    }
}

static void readable(struct connection *c) {
    ssize_t n = read(c->fd, c->in + c->in_length, sizeof c->in - c->in_length - 1);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(c, n ? strerror(errno) : "the server closed the connection");
    c->in_length += n;
    char *line = c->in, *end = c->in + c->in_length, *newline;
    while (c->phase != closed && (newline = memchr(line, '\n', end - line))) {
        *newline = 0;
        if (newline > line && newline[-1] == '\r') newline[-1] = 0;
        reply(c, line, strlen(line) < 4 || line[3] != '-');
        line = newline + 1;
    }
    c->in_length = end - line;
    memmove(c->in, line, c->in_length);
    if (c->in_length >= sizeof c->in - 1) drop(c, "a reply line is too long");
}

static void make_body(void) {
    struct connection sample = {0};
    char header[1024];
    long left = size - message_header(&sample, header, sizeof header);
    if (left < 3) fail("--size must hold the header, %ld octets", size - left + 3);
    body = malloc(left);
    uint32_t state = 12345;
    for (long i = 0; i < left; i++) {
        state = state * 1664525 + 1013904223;
        body[i] = i % 74 == 73 ? '\n' : i % 74 == 72 ? '\r' : "abcdefghijklmnopqrstuvwxyz ETAOIN"[state >> 27];
    }
    /* The last line ends the text; what is cut there must not leave half a line end. */
    for (long i = left - 3; i < left - 2; i++) body[i] = 'z';
    body[left - 2] = '\r';
    body[left - 1] = '\n';
    if (left > 3 && body[left - 4] == '\r') body[left - 4] = 'z';
    body_length = left;
}

static void options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *v;
        if (target_option(&target, argc, argv, &i)) continue;
        if ((v = option(argc, argv, &i, "connections"))) connections = number(v, 1, connections_max, "connections");
        else if ((v = option(argc, argv, &i, "messages"))) messages = number(v, 1, operations_max, "messages");
        else if ((v = option(argc, argv, &i, "seconds"))) seconds = number(v, 1, seconds_max, "seconds");
        else if ((v = option(argc, argv, &i, "size"))) size = number(v, 1, message_octets_max, "size");
        else if ((v = option(argc, argv, &i, "recipients"))) pattern = v;
        else if ((v = option(argc, argv, &i, "recipient-count")))
            recipient_count = number(v, 1, operations_max, "recipient-count");
        else if ((v = option(argc, argv, &i, "per-message"))) per_message = number(v, 1, 50, "per-message");
        else if ((v = option(argc, argv, &i, "keep-ids"))) ids_path = v;
        else if (!strcmp(argv[i], "--smtp")) smtp = 1;
        else fail("unknown option %s", argv[i]);
    }
    if (!target.port && !target.unix_path) fail("--port or --unix is needed");
    if (strlen(pattern) > 250) fail("--recipients is too long");
}

int main(int argc, char **argv) {
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    make_body();
    run_id = (long)time(NULL) ^ ((long)getpid() << 8);
    if (ids_path && !(ids = fopen(ids_path, "a"))) fail("cannot open %s", ids_path);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    latency = latencies_of(messages);
    struct connection *all = calloc(connections, sizeof *all);
    if (!all) fail("no memory");
    for (long i = 0; i < connections; i++, open_count++) {
        all[i].fd = connect_target(&target);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &e);
    }
    /* Time to be greeted, then the run, then time for the last replies. */
    double give_up = now() + 30;
    int running = 0;
    while (open_count && now() < give_up && !(running && done >= messages)) {
        struct epoll_event events[128];
        int n = epoll_wait(epoll, events, 128, 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->phase == closed) continue;
            if (events[i].events & EPOLLOUT) flush_pending(c);
            if (c->phase != closed && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
        if (!running && ready_count == connections) {
            running = 1;
            clock_start = clock_end = now();
            deadline = clock_start + seconds;
            give_up = deadline + 30;
            for (long i = 0; i < connections; i++) if (all[i].phase == ready) next(&all[i]);
        }
        if (running && now() > deadline && messages > next_message) messages = next_message;
    }
    for (long i = 0; i < connections; i++)
        if (all[i].phase != closed) { (void)!write(all[i].fd, "QUIT\r\n", 6); close(all[i].fd); }
    double elapsed = clock_end - clock_start;
    printf("{\"acknowledged\":%ld,\"deliveries\":%ld,\"errors\":%ld,\"connections\":%ld,\"size\":%ld,\"seconds\":%.3f,"
           "\"messages_per_second\":%.1f,", acknowledged, deliveries, errors, connections, size, elapsed,
           elapsed > 0 ? acknowledged / elapsed : 0.0);
    latency_print(&latency, "latency_ms");
    print_end();
    return errors || !acknowledged || done < messages;
}
