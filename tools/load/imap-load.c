/*
 * imap-load: fills mailboxes over IMAP, times commands, and idles; prints one line of JSON.
 *
 *   imap-load fill          APPENDs --messages N of --size OCTETS to INBOX, many to a command (MULTIAPPEND, LITERAL+);
 *                           each of --connections C fills the INBOX of its own user
 *   imap-load time          one connection; sends --command --repeat N times, one after the other, and times each until
 *                           its tagged reply; before each, untimed, every --between, and with --arrive M messages
 *                           APPENDed by another connection; --pause-ms between two
 *   imap-load loop          --connections C send their --commands in turn for --seconds, --pipeline P at a time
 *   imap-load idle          --connections C idle in INBOX; prints `idling` and waits for a line on its standard input;
 *                           then --repeat rounds: another connection APPENDs, and each session's EXISTS is timed from
 *                           the moment before the APPEND was sent, and from its tagged reply
 *
 *   --host 127.0.0.1 --port N     the server; loopback only          --tls   from the first octet on
 *   --sources S (1)         addresses 127.0.0.1 ... 127.0.0.S, which the connections come from in turn
 *   --users PATTERN (user%d@example.test)   --first-user U (0)   --user-count M (1): connection c is user U + c mod M
 *   --password TEXT (secret)
 *   --setup COMMAND         sent after LOGIN, once for each connection; up to 16
 *   --command COMMAND       up to 4; %n is a number from 1 to --modulo (1) that grows with each round of the commands
 *   --allow-no              a tagged NO is no error
 *
 * Exit: 0 no error, 1 some command failed, 2 wrong usage or no connection.
 */
#include "load.h"
#include <openssl/ssl.h>
#include <poll.h>

enum { setups_max = 16, commands_max = 4, sessions_max = 12000, buffer_octets = 64 << 10, wait_ms = 120000 };

struct client {
    int fd, is_done;
    SSL *ssl;
    long sent, answered;
    /* Octets of a literal that are still to come. */
    long literal;
    char *in;
    size_t length, size;
    double *started;
};

static struct target target = {.host = "127.0.0.1"};
static long connections = 1, seconds = 10, user_count = 1, first_user, sources = 1, messages = 1000, size_octets = 1024;
static long repeat_count = 1, pipeline = 1, modulo = 1, arriving, pause_ms;
static const char *pattern = "user%d@example.test", *password = "secret";
static const char *setups[setups_max], *commands[commands_max], *betweens[setups_max];
static int setup_count, command_count, between_count, uses_tls, allows_no;
static SSL_CTX *tls;
static long octets, lines;
static char last_reply[256];
/* What untagged replies have said last. */
static unsigned long long mod_seq, uid_validity, exists, uid_next;

/* Octets */

static void await(struct client *c, short what) {
    struct pollfd p = {.fd = c->fd, .events = what};
    if (poll(&p, 1, wait_ms) <= 0) fail("the server does not answer");
}

/* -1 when nothing is there now, 0 at the end. */
static ssize_t receive(struct client *c, char *to, size_t count) {
    if (c->ssl) {
        int n = SSL_read(c->ssl, to, count);
        if (n > 0) return n;
        int why = SSL_get_error(c->ssl, n);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
    }
    ssize_t n = read(c->fd, to, count);
    return n < 0 ? (errno == EAGAIN ? -1 : 0) : n;
}

static void put(struct client *c, const char *from, size_t count) {
    while (count) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, from, count) : write(c->fd, from, count);
        if (n > 0) {
            from += n;
            count -= n;
            continue;
        }
        if (c->ssl ? SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ
                   : errno != EAGAIN)
            fail("the server closed the connection");
        await(c, c->ssl ? POLLIN | POLLOUT : POLLOUT);
    }
}

static void say(struct client *c, const char *format, ...) {
    char text[line_octets_max];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    put(c, text, n);
}

/* Reads on; 0 when nothing is there now, -1 at the end. */
static int fill_in(struct client *c) {
    if (c->length == c->size) {
        c->size *= 2;
        if (c->size > message_octets_max || !(c->in = realloc(c->in, c->size))) fail("a line is too long");
    }
    ssize_t n = receive(c, c->in + c->length, c->size - c->length);
    if (n == 0) return -1;
    if (n < 0) return 0;
    c->length += n;
    octets += n;
    return 1;
}

static void note(const char *line) {
    const char *at;
    if ((at = strstr(line, "HIGHESTMODSEQ "))) mod_seq = strtoull(at + 14, NULL, 10);
    if ((at = strstr(line, "UIDVALIDITY "))) uid_validity = strtoull(at + 12, NULL, 10);
    if ((at = strstr(line, "UIDNEXT "))) uid_next = strtoull(at + 8, NULL, 10);
    if ((at = strstr(line, " EXISTS"))) exists = strtoull(line + 2, NULL, 10);
}

/* Calls `body` for each whole line that is at hand, its end cut off; literals are skipped. */
static void each_line(struct client *c, void (*body)(struct client *, char *)) {
    size_t at = 0;
    while (at < c->length) {
        if (c->literal) {
            size_t n = c->length - at < (size_t)c->literal ? c->length - at : (size_t)c->literal;
            c->literal -= n;
            at += n;
            continue;
        }
        char *newline = memchr(c->in + at, '\n', c->length - at);
        if (!newline) break;
        char *line = c->in + at;
        at = newline + 1 - c->in;
        if (newline > line && newline[-1] == '\r') newline--;
        *newline = 0;
        lines++;
        if (newline > line && newline[-1] == '}') {
            char *open = memrchr(line, '{', newline - line);
            if (open) c->literal = strtol(open + 1, NULL, 10);
        }
        body(c, line);
    }
    c->length -= at;
    if (at && c->length) memmove(c->in, c->in + at, c->length);
}

/* One command at a time */

static void tagged(struct client *c, char *line) {
    if (*line == '*' || *line == '+') return note(line);
    if (*line != 'A') return;
    snprintf(last_reply, sizeof last_reply, "%s", line);
    note(line);
    const char *word = strchr(line, ' ');
    if (!word || (strncmp(word, " OK", 3) && !(allows_no && !strncmp(word, " NO", 3)))) note_error(line);
    c->is_done = 1;
}

/* Gives lines to `body` until it says that this was the last. */
static void until_done(struct client *c, void (*body)(struct client *, char *)) {
    c->is_done = 0;
    while (!c->is_done) {
        int n = fill_in(c);
        if (n < 0) fail("the server closed the connection%s%s", *last_reply ? ": " : "", last_reply);
        if (!n) await(c, POLLIN);
        else each_line(c, body);
    }
}

static void greeted(struct client *c, char *line) { c->is_done = !strncmp(line, "* OK", 4); }

static void command(struct client *c, const char *text) {
    say(c, "A%ld %s\r\n", c->sent++, text);
    until_done(c, tagged);
}

/* Connects, and logs in. */
static void begin(struct client *c, long number) {
    memset(c, 0, sizeof *c);
    c->size = 4096;
    c->in = malloc(c->size);
    target.source = sources > 1 ? number % sources + 1 : 0;
    c->fd = connect_target(&target);
    if (uses_tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        int n;
        while ((n = SSL_connect(c->ssl)) != 1) {
            int why = SSL_get_error(c->ssl, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) fail("no TLS");
            await(c, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
        }
    }
    until_done(c, greeted);
    char name[512];
    fill_pattern(name, sizeof name, pattern, first_user + number % user_count);
    say(c, "A%ld LOGIN %s %s\r\n", c->sent++, name, password);
    until_done(c, tagged);
    if (errors) fail("%s", first_error);
}

static void begin_with_setups(struct client *c, long number) {
    begin(c, number);
    for (int i = 0; i < setup_count; i++) command(c, setups[i]);
    if (errors) fail("%s", first_error);
}

/* Messages */

static const char *const words[] = {
    "meeting", "report", "invoice", "holiday", "garden", "river", "quarter", "review", "ticket", "harbour", "winter",
    "offer", "contract", "schedule", "library", "station", "picture", "lunch", "project", "budget", "travel", "music",
    "letter", "answer", "question", "delivery", "morning", "evening", "number", "window", "bridge", "market"};

static const char *word(unsigned long n) { return words[n * 2654435761UL % 4294967296UL >> 27]; }

/* A message of about `size_octets`, each another one; answers its length. */
static size_t write_message(char *out, unsigned long n) {
    char *at = out;
    unsigned long day = n / 1440 % 28 + 1, minute = n % 1440;
    at += sprintf(at, "Return-Path: <%s.%s@sender%lu.test>\r\n", word(n), word(n + 7), n % 97);
    at += sprintf(at, "Received: from mx%lu.sender.test (mx%lu.sender.test [192.0.2.%lu])\r\n\tby mail.example.test with "
                      "ESMTPS id %08lx;\r\n\t%02lu Sep 2025 %02lu:%02lu:17 +0200\r\n",
                  n % 9, n % 9, n % 250 + 1, n, day, minute / 60, minute % 60);
    at += sprintf(at, "From: \"%s %s\" <%s.%s@sender%lu.test>\r\nTo: user@example.test\r\n", word(n), word(n + 7), word(n),
                  word(n + 7), n % 97);
    if (n % 4 == 0) at += sprintf(at, "Cc: %s@example.test, %s@example.test\r\n", word(n + 1), word(n + 2));
    at += sprintf(at, "Subject: %s%s %s of the %s %lu\r\n", n % 3 ? "" : "Re: ", word(n + 3), word(n + 4), word(n + 5), n);
    at += sprintf(at, "Date: %02lu Sep 2025 %02lu:%02lu:03 +0200\r\nMessage-ID: <%lu.%08lx@sender%lu.test>\r\n", day,
                  minute / 60, minute % 60, n, n * 2654435761UL % 4294967296UL, n % 97);
    if (n % 3 == 0 && n > 3)
        at += sprintf(at, "In-Reply-To: <%lu.%08lx@sender%lu.test>\r\n", n - 3,
                      (n - 3) * 2654435761UL % 4294967296UL, (n - 3) % 97);
    at += sprintf(at, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
                      "\r\nX-Mailer: load %lu\r\n\r\n", n % 5);
    for (unsigned long w = n; at - out < size_octets - 2;) {
        char *line = at;
        while (at - line < 64 && at - out < size_octets - 2) at += sprintf(at, "%s ", word(w += 13));
        at[-1] = '\r';
        *at++ = '\n';
    }
    return at - out;
}

static char *batch;

/* Appends `count` messages from number `first` on, in one command. */
static void append(struct client *c, unsigned long first, long count) {
    char *at = batch + sprintf(batch, "A%ld APPEND INBOX", c->sent++);
    for (long i = 0; i < count; i++) {
        char *text = at + 96;
        size_t length = write_message(text, first + i);
        int head = sprintf(at, " (%s) \"01-Oct-2025 %02lu:%02lu:%02lu +0000\" {%zu+}\r\n", i % 10 ? "\\Seen" : "",
                           (first + i) / 3600 % 24, (first + i) / 60 % 60, (first + i) % 60, length);
        memmove(at + head, text, length);
        at += head + length;
    }
    at += sprintf(at, "\r\n");
    put(c, batch, at - batch);
}

static void run_fill(void) {
    long each = (3L << 20) / (size_octets + 256);
    if (each > 1000) each = 1000;
    if (each < 1) each = 1;
    batch = malloc((each + 1) * (size_octets + 2048) + 4096);
    struct client *all = calloc(connections, sizeof *all);
    if (!batch || !all) fail("no memory");
    for (long i = 0; i < connections; i++) begin_with_setups(&all[i], i);
    double start = now();
    for (long done = 0; done < messages; done += each) {
        long count = messages - done < each ? messages - done : each;
        for (long i = 0; i < connections; i++) {
            append(&all[i], done, count);
            until_done(&all[i], tagged);
            if (errors) fail("%s", first_error);
        }
    }
    double elapsed = now() - start;
    printf("\"messages\":%ld,\"messages_per_second\":%.0f,\"seconds\":%.3f", messages * connections,
           messages * connections / elapsed, elapsed);
}

static void sleep_for(double s) {
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

static void fill_number(char *out, size_t size, const char *text, long round) {
    const char *mark = strstr(text, "%n");
    if (!mark) snprintf(out, size, "%s", text);
    else snprintf(out, size, "%.*s%ld%s", (int)(mark - text), text, round % modulo + 1, mark + 2);
}

static void times_print(struct latencies *l) {
    qsort(l->values, l->count, sizeof *l->values, compare_latency);
    printf("\"count\":%ld,\"p50_us\":%u,\"min_us\":%u,\"p99_us\":%u,\"max_us\":%u", l->count,
           l->count ? l->values[(l->count - 1) / 2] : 0, l->count ? l->values[0] : 0,
           l->count ? l->values[(long)(0.99 * (l->count - 1))] : 0, l->count ? l->values[l->count - 1] : 0);
}

static void run_time(void) {
    struct client c, other = {0};
    struct latencies times = latencies_of(repeat_count);
    begin_with_setups(&c, 0);
    if (arriving) {
        batch = malloc((arriving + 1) * (size_octets + 2048) + 4096);
        begin(&other, 0);
    }
    double end = now() + seconds;
    long last_octets = 0, last_lines = 0;
    for (long i = 0; i < repeat_count && now() < end && command_count; i++) {
        char text[line_octets_max - 64];
        for (int j = 0; j < between_count; j++) command(&c, betweens[j]);
        if (arriving) {
            append(&other, i, arriving);
            until_done(&other, tagged);
        }
        if (pause_ms) sleep_for(pause_ms / 1e3);
        fill_number(text, sizeof text, commands[i % command_count], i / command_count);
        octets = lines = 0;
        double before = now();
        command(&c, text);
        latency_add(&times, now() - before);
        last_octets = octets;
        last_lines = lines;
    }
    times_print(&times);
    printf(",\"octets\":%ld,\"lines\":%ld,\"highestmodseq\":%llu,\"uidvalidity\":%llu,\"uidnext\":%llu,\"exists\":%llu,"
           "\"reply\":", last_octets, last_lines, mod_seq, uid_validity, uid_next, exists);
    print_text(last_reply);
}

/* Many at a time */

static int epoll;
static double deadline;
static struct latencies answers;
static long answered, answers_max = 2000000;

static void watch(struct client *c) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void send_commands(struct client *c, long count) {
    char text[buffer_octets / 2];
    size_t length = 0;
    for (long i = 0; i < count; i++) {
        char one[line_octets_max];
        fill_number(one, sizeof one, commands[c->sent % command_count], c->sent / command_count);
        length += snprintf(text + length, sizeof text - length, "A%ld %s\r\n", c->sent, one);
        c->started[c->sent % pipeline] = now();
        c->sent++;
        if (length > sizeof text - line_octets_max) {
            put(c, text, length);
            length = 0;
        }
    }
    put(c, text, length);
}

static void loop_reply(struct client *c, char *line) {
    if (*line != 'A') return;
    char *word = strchr(line, ' ');
    if (!word || strncmp(word, " OK", 3)) note_error(line);
    if (answers.count < answers_max) latency_add(&answers, now() - c->started[c->answered % pipeline]);
    c->answered++;
    answered++;
}

static void run_loop(void) {
    struct client *all = calloc(connections, sizeof *all);
    answers = latencies_of(answers_max);
    if (!all || !command_count) fail("no memory, or no --command");
    for (long i = 0; i < connections; i++) {
        begin_with_setups(&all[i], i);
        all[i].started = calloc(pipeline, sizeof(double));
        all[i].sent = 0;
        watch(&all[i]);
    }
    double start = now(), cpu = own_cpu();
    deadline = start + seconds;
    octets = lines = 0;
    for (long i = 0; i < connections; i++) send_commands(&all[i], pipeline);
    long open = connections;
    while (open && now() < deadline + 30) {
        struct epoll_event events[128];
        int n = epoll_wait(epoll, events, 128, 1000);
        int is_over = now() >= deadline;
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            int got;
            /* What is left wakes again; TLS may hold some itself. */
            while ((got = fill_in(c)) > 0) {
                each_line(c, loop_reply);
                if (!c->ssl) break;
            }
            if (got < 0) fail("the server closed the connection");
            long free_places = pipeline - (c->sent - c->answered);
            /* A pipeline is filled again when half of it is answered: one write for many commands. */
            if (!is_over && free_places * 2 >= pipeline) send_commands(c, free_places);
            if (is_over && c->sent == c->answered) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
                open--;
            }
        }
    }
    double elapsed = now() - start;
    printf("\"connections\":%ld,\"commands\":%ld,\"seconds\":%.3f,\"commands_per_second\":%.1f,\"octets\":%ld,", connections,
           answered, elapsed, answered / elapsed, octets);
    times_print(&answers);
    printf(",\"loop_cpu_seconds\":%.3f", own_cpu() - cpu);
}

static long waiting;

static void idle_reply(struct client *c, char *line) {
    if (*line == '*' && strstr(line, " EXISTS") && !c->is_done) {
        c->is_done = 1;
        waiting--;
        latency_add(&answers, now() - deadline);
    } else if (!strncmp(line, "* BYE", 5) || *line == 'A') note_error(line);
}

static void idle_said(struct client *c, char *line) {
    if (*line == '+') c->is_done = 1;
    else if (*line == 'A') fail("%s", line);
}

static void run_idle(void) {
    struct client *all = calloc(connections, sizeof *all), other;
    answers = latencies_of(connections + 1);
    batch = malloc(2 * size_octets + 8192);
    if (!all || !batch) fail("no memory");
    begin(&other, 0);
    for (long i = 0; i < connections; i++) {
        struct client *c = &all[i];
        begin_with_setups(c, i);
        command(c, "SELECT INBOX");
        say(c, "A%ld IDLE\r\n", c->sent++);
        until_done(c, idle_said);
        watch(c);
    }
    puts("idling");
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof line, stdin)) fail("no line on the standard input");
    putchar('{');
    struct latencies medians = latencies_of(repeat_count), lasts = latencies_of(repeat_count);
    struct latencies sinces = latencies_of(repeat_count);
    for (long i = 0; i < repeat_count; i++) {
        for (long j = 0; j < connections; j++) all[j].is_done = 0;
        waiting = connections;
        answers.count = 0;
        sleep_for(0.3);
        double replied = 0;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &other};
        epoll_ctl(epoll, EPOLL_CTL_ADD, other.fd, &e);
        other.is_done = 0;
        deadline = now();
        append(&other, i, 1);
        double end = now() + 30;
        while ((waiting || !replied) && now() < end) {
            struct epoll_event events[256];
            int count = epoll_wait(epoll, events, 256, 1000);
            for (int k = 0; k < count; k++) {
                struct client *c = events[k].data.ptr;
                int got;
                while ((got = fill_in(c)) > 0) {
                    each_line(c, c == &other ? tagged : idle_reply);
                    if (!c->ssl) break;
                }
                if (got < 0) fail("the server closed the connection");
                if (c == &other && c->is_done && !replied) replied = now();
            }
        }
        epoll_ctl(epoll, EPOLL_CTL_DEL, other.fd, NULL);
        if (waiting) note_error("a session has not heard");
        qsort(answers.values, answers.count, sizeof *answers.values, compare_latency);
        if (!answers.count) continue;
        latency_add(&medians, answers.values[(answers.count - 1) / 2] / 1e6);
        latency_add(&lasts, answers.values[answers.count - 1] / 1e6);
        latency_add(&sinces, replied - deadline);
    }
    printf("\"connections\":%ld,\"median\":{", connections);
    times_print(&medians);
    printf("},\"all\":{");
    times_print(&lasts);
    printf("},\"append\":{");
    times_print(&sinces);
    printf("}");
}

/* Options */

static void options(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        const char *v;
        if (target_option(&target, argc, argv, &i)) continue;
        if ((v = option(argc, argv, &i, "connections"))) connections = number(v, 1, sessions_max, "connections");
        else if ((v = option(argc, argv, &i, "seconds"))) seconds = number(v, 1, seconds_max, "seconds");
        else if ((v = option(argc, argv, &i, "sources"))) sources = number(v, 1, 250, "sources");
        else if ((v = option(argc, argv, &i, "users"))) pattern = v;
        else if ((v = option(argc, argv, &i, "user-count"))) user_count = number(v, 1, operations_max, "user-count");
        else if ((v = option(argc, argv, &i, "first-user"))) first_user = number(v, 0, operations_max, "first-user");
        else if ((v = option(argc, argv, &i, "password"))) password = v;
        else if ((v = option(argc, argv, &i, "messages"))) messages = number(v, 1, operations_max, "messages");
        else if ((v = option(argc, argv, &i, "size"))) size_octets = number(v, 800, 2L << 20, "size");
        else if ((v = option(argc, argv, &i, "repeat"))) repeat_count = number(v, 1, operations_max, "repeat");
        else if ((v = option(argc, argv, &i, "pipeline"))) pipeline = number(v, 1, 10000, "pipeline");
        else if ((v = option(argc, argv, &i, "modulo"))) modulo = number(v, 1, operations_max, "modulo");
        else if ((v = option(argc, argv, &i, "arrive"))) arriving = number(v, 1, 1000, "arrive");
        else if ((v = option(argc, argv, &i, "pause-ms"))) pause_ms = number(v, 0, 60000, "pause-ms");
        else if ((v = option(argc, argv, &i, "setup")) && setup_count < setups_max) setups[setup_count++] = v;
        else if ((v = option(argc, argv, &i, "between")) && between_count < setups_max) betweens[between_count++] = v;
        else if ((v = option(argc, argv, &i, "command")) && command_count < commands_max) commands[command_count++] = v;
        else if (!strcmp(argv[i], "--tls")) uses_tls = 1;
        else if (!strcmp(argv[i], "--allow-no")) allows_no = 1;
        else fail("unknown option %s", argv[i]);
    }
    if (!target.port) fail("--port is needed");
    if (strlen(pattern) > 250 || strlen(password) > 250) fail("--users or --password is too long");
}

int main(int argc, char **argv) {
    static const struct { const char *name; void (*run)(void); } modes[] = {
        {"fill", run_fill}, {"time", run_time}, {"loop", run_loop}, {"idle", run_idle}};
    void (*run)(void) = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name)) run = modes[i].run;
    if (!run) fail("imap-load fill, time, loop or idle");
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (uses_tls && !(tls = SSL_CTX_new(TLS_client_method()))) fail("no TLS");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run != run_idle) putchar('{');
    run();
    printf(",\"errors\":%ld", errors);
    print_end();
    return errors != 0;
}
