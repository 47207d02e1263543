/*
 * login-load: logs in over SMTP's AUTH, again and again, and prints one line of JSON.
 *
 *   --host 127.0.0.1 --port N | --unix PATH    the server; loopback only
 *   --mechanism PLAIN | SCRAM-SHA-256 (PLAIN)
 *   --connections N (1)     sessions at a time
 *   --logins N (100)        in all             --seconds N (60): no new session after that
 *   --users PATTERN (user%d@example.test)   --user-count M (1)   --password TEXT
 *
 * A session is a connection, EHLO, AUTH, QUIT. The salted password of SCRAM (RFC 5802) is derived once for each account,
 * as a client does that keeps it; the server's proof is checked each time.
 * Exit: 0 no error, 1 some login failed, 2 wrong usage or no connection.
 */
#include "load.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum phase { greeting, ehlo, first, last, plain, quit, closed };
enum { digest_octets = 32, accounts_max = 100000 };

struct keys { char salt[128]; unsigned char client[digest_octets], stored[digest_octets], server[digest_octets]; };

struct connection {
    int fd;
    enum phase phase;
    long account, serial;
    double started;
    char in[8192], bare[700], verdict[132];
    size_t in_length;
};

static struct target target = {.host = "127.0.0.1"};
static long connections = 1, logins = 100, seconds = 60, user_count = 1;
static const char *pattern = "user%d@example.test", *password = "secret", *mechanism = "PLAIN";
static int epoll, is_scram;
static long started_count, finished, active, derived;
static double deadline, clock_start;
static struct latencies login;
static struct keys *keys;

static void begin(struct connection *c) {
    if (started_count >= logins || (clock_start > 0 && now() > deadline)) return;
    c->fd = connect_target(&target);
    c->phase = greeting;
    c->in_length = 0;
    c->serial = started_count++;
    c->account = c->serial % user_count;
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
    begin(c);
}

static void put(struct connection *c, enum phase phase, const char *format, ...) {
    char text[4096];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    c->phase = phase;
    /* A server that has gone is noticed by the next read. */
    if (write(c->fd, text, n) != n) shutdown(c->fd, SHUT_RDWR);
}

static void encode(char *out, const void *octets, size_t count) {
    EVP_EncodeBlock((unsigned char *)out, octets, (int)count);
}

/* The octets of base64 text, with a NUL behind; -1 when it is none. */
static int decode(char *out, const char *text, size_t count) {
    int n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)count);
    while (n > 0 && count && text[count - 1] == '=') n--, count--;
    if (n >= 0) out[n] = 0;
    return n;
}

static void mac(unsigned char *out, const void *key, const char *message) {
    unsigned n = digest_octets;
    HMAC(EVP_sha256(), key, digest_octets, (const unsigned char *)message, strlen(message), out, &n);
}

static void derive(struct keys *k, const char *salt, long iterations) {
    unsigned char octets[128], salted[digest_octets];
    char text[129];
    if (strlen(salt) >= sizeof k->salt) fail("the salt is too long");
    int n = decode(text, salt, strlen(salt));
    if (n <= 0 || iterations < 1) fail("no salt: %s", salt);
    memcpy(octets, text, n);
    PKCS5_PBKDF2_HMAC(password, -1, octets, n, (int)iterations, EVP_sha256(), digest_octets, salted);
    mac(k->client, salted, "Client Key");
    mac(k->server, salted, "Server Key");
    EVP_Digest(k->client, digest_octets, k->stored, NULL, EVP_sha256(), NULL);
    strcpy(k->salt, salt);
    derived++;
}

static void authenticate(struct connection *c) {
    char name[300], message[1200], text[1700];
    fill_pattern(name, sizeof name, pattern, c->account);
    c->started = now();
    if (is_scram) {
        snprintf(c->bare, sizeof c->bare, "n=%s,r=%ldnonceofaclient", name, c->serial);
        snprintf(message, sizeof message, "n,,%s", c->bare);
        encode(text, message, strlen(message));
        return put(c, first, "AUTH SCRAM-SHA-256 %s\r\n", text);
    }
    int n = snprintf(message, sizeof message, "%c%s%c%s", 0, name, 0, password);
    encode(text, message, n);
    put(c, plain, "AUTH PLAIN %s\r\n", text);
}

static void prove(struct connection *c, const char *line) {
    char challenge[2048], salt[128], nonce[512], without[700], message[4096], text[128], reply[1200], all[1800];
    unsigned char signature[digest_octets], proof[digest_octets];
    long iterations;
    size_t count = strcspn(line, "\r\n");
    if (count > 2000 || decode(challenge, line, count) < 0
        || sscanf(challenge, "r=%511[^,],s=%127[^,],i=%ld", nonce, salt, &iterations) != 3)
        return end(c, "a challenge that is none");
    struct keys *k = &keys[c->account];
    if (strcmp(k->salt, salt)) derive(k, salt, iterations);
    snprintf(without, sizeof without, "c=biws,r=%s", nonce);
    snprintf(message, sizeof message, "%s,%s,%s", c->bare, challenge, without);
    mac(signature, k->stored, message);
    for (int i = 0; i < digest_octets; i++) proof[i] = k->client[i] ^ signature[i];
    encode(text, proof, digest_octets);
    snprintf(reply, sizeof reply, "%s,p=%s", without, text);
    mac(signature, k->server, message);
    encode(text, signature, digest_octets);
    snprintf(c->verdict, sizeof c->verdict, "v=%s", text);
    encode(all, reply, strlen(reply));
    put(c, last, "%s\r\n", all);
}

static void reply(struct connection *c, const char *line) {
    char verdict[128];
    if (line[3] == '-') return;
    int code = (int)strtol(line, NULL, 10);
    switch (c->phase) {
    case greeting: return code == 220 ? put(c, ehlo, "EHLO load.test\r\n") : end(c, line);
    case ehlo: return code == 250 ? authenticate(c) : end(c, line);
    case first: return code == 334 ? prove(c, line + 4) : end(c, line);
    case last:
        if (code != 334 || strlen(line) > 90 || decode(verdict, line + 4, strcspn(line + 4, "\r\n")) < 0)
            return end(c, line);
        if (strcmp(verdict, c->verdict)) return end(c, "the server did not prove itself");
        return put(c, plain, "\r\n");
    case plain:
        if (code != 235) return end(c, line);
        latency_add(&login, now() - c->started);
        return put(c, quit, "QUIT\r\n");
    case quit: return end(c, NULL);
    case closed: return;
    }
}

static void readable(struct connection *c) {
    ssize_t n = read(c->fd, c->in + c->in_length, sizeof c->in - 1 - c->in_length);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(c, n ? strerror(errno) : "the server closed the connection");
    c->in_length += n;
    char *newline;
    while ((newline = memchr(c->in, '\n', c->in_length))) {
        size_t used = newline + 1 - c->in;
        long serial = c->serial;
        *newline = 0;
        reply(c, c->in);
        if (c->phase == closed || c->serial != serial) return;
        c->in_length -= used;
        memmove(c->in, c->in + used, c->in_length);
    }
    if (c->in_length == sizeof c->in - 1) end(c, "a line that does not end");
}

static void options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *v;
        if (target_option(&target, argc, argv, &i)) continue;
        if ((v = option(argc, argv, &i, "connections"))) connections = number(v, 1, connections_max, "connections");
        else if ((v = option(argc, argv, &i, "logins"))) logins = number(v, 1, operations_max, "logins");
        else if ((v = option(argc, argv, &i, "seconds"))) seconds = number(v, 1, seconds_max, "seconds");
        else if ((v = option(argc, argv, &i, "users"))) pattern = v;
        else if ((v = option(argc, argv, &i, "user-count"))) user_count = number(v, 1, accounts_max, "user-count");
        else if ((v = option(argc, argv, &i, "password"))) password = v;
        else if ((v = option(argc, argv, &i, "mechanism"))) mechanism = v;
        else fail("unknown option %s", argv[i]);
    }
    if (!target.port && !target.unix_path) fail("--port or --unix is needed");
    if (strlen(pattern) > 250 || strlen(password) > 250) fail("--users or --password is too long");
    is_scram = !strcmp(mechanism, "SCRAM-SHA-256");
    if (!is_scram && strcmp(mechanism, "PLAIN")) fail("--mechanism is PLAIN or SCRAM-SHA-256");
}

int main(int argc, char **argv) {
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    login = latencies_of(logins + 1);
    keys = calloc(user_count, sizeof *keys);
    struct connection *all = calloc(connections, sizeof *all);
    if (!all || !keys) fail("no memory");
    clock_start = now();
    deadline = clock_start + seconds;
    for (long i = 0; i < connections; i++) {
        all[i].phase = closed;
        begin(&all[i]);
    }
    while (active && now() < deadline + 30) {
        struct epoll_event events[128];
        int n = epoll_wait(epoll, events, 128, 1000);
        for (int i = 0; i < n; i++) readable(events[i].data.ptr);
    }
    double elapsed = now() - clock_start;
    printf("{\"mechanism\":\"%s\",\"logins\":%ld,\"errors\":%ld,\"connections\":%ld,\"seconds\":%.3f,"
           "\"logins_per_second\":%.1f,\"derived\":%ld,",
           mechanism, finished, errors, connections, elapsed, finished / elapsed, derived);
    latency_print(&login, "login_ms");
    print_end();
    return errors || active || !finished;
}
