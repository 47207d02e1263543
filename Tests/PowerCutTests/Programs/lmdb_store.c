/*
 * LMDB as the engine uses it, under the recorder.
 *   lmdb_store write ROOT ACKS COUNT [nosync]   COUNT transactions; the n-th puts 1..5 keys and deletes some old ones,
 *                                               then acknowledges n
 *   lmdb_store read ROOT                        prints the number of the last transaction when the store is whole
 * Each transaction n sets "last" to n and "sum" to the number of keys, so that a reader can tell a whole state.
 */
#include <fcntl.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(int rc, const char *what) {
    if (rc) { printf("%s: %s\n", what, mdb_strerror(rc)); exit(1); }
}

static MDB_env *environment(const char *root, unsigned flags) {
    MDB_env *env;
    must(mdb_env_create(&env), "create");
    must(mdb_env_set_mapsize(env, 1ull << 30), "map size");
    must(mdb_env_open(env, root, MDB_NOTLS | flags, 0600), "open");
    return env;
}

static void put(MDB_txn *txn, MDB_dbi dbi, const char *name, const void *value, size_t length) {
    MDB_val k = {strlen(name), (void *)name}, v = {length, (void *)value};
    must(mdb_put(txn, dbi, &k, &v, 0), "put");
}

static int store(const char *root, const char *acks_path, uint64_t count, unsigned flags) {
    mkdir(root, 0700);
    int folder = open(root, O_RDONLY | O_DIRECTORY), acks = open(acks_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    MDB_env *env = environment(root, flags);
    if (folder < 0 || acks < 0 || fsync(folder)) return 1;
    uint64_t keys = 0, oldest = 1, newest = 0;
    for (uint64_t n = 1; n <= count; n++) {
        MDB_txn *txn;
        MDB_dbi dbi;
        char name[32], value[700];
        must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        must(mdb_dbi_open(txn, NULL, 0, &dbi), "database");
        for (uint64_t i = 0; i <= n % 5; i++, keys++) {
            snprintf(name, sizeof name, "key %08llu", (unsigned long long)++newest);
            memset(value, (int)(newest & 0xFF), sizeof value);
            put(txn, dbi, name, value, sizeof value);
        }
        for (; n % 7 == 0 && oldest + 20 < newest; oldest++, keys--) {
            snprintf(name, sizeof name, "key %08llu", (unsigned long long)oldest);
            MDB_val k = {strlen(name), name};
            must(mdb_del(txn, dbi, &k, NULL), "delete");
        }
        put(txn, dbi, "last", &n, sizeof n);
        put(txn, dbi, "sum", &keys, sizeof keys);
        must(mdb_txn_commit(txn), "commit");
        if (write(acks, &n, 8) != 8) return 1;
    }
    mdb_env_close(env);
    return 0;
}

static int check(const char *root) {
    MDB_env *env = environment(root, 0);
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val k, v;
    uint64_t last = 0, sum = 0, keys = 0;
    must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &dbi), "database");
    must(mdb_cursor_open(txn, dbi, &cursor), "cursor");
    int rc;
    while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
        if (k.mv_size == 4 && v.mv_size == 8) memcpy(&last, v.mv_data, 8);
        else if (k.mv_size == 3 && v.mv_size == 8) memcpy(&sum, v.mv_data, 8);
        else {
            char name[32] = {0};
            unsigned long long number;
            memcpy(name, k.mv_data, k.mv_size < 31 ? k.mv_size : 31);
            if (sscanf(name, "key %llu", &number) != 1 || v.mv_size != 700) { puts("damaged key"); return 1; }
            for (size_t i = 0; i < v.mv_size; i++)
                if (((unsigned char *)v.mv_data)[i] != (number & 0xFF)) { puts("damaged value"); return 1; }
            keys++;
        }
    }
    if (rc != MDB_NOTFOUND) must(rc, "next");
    if (keys != sum) { puts("keys are missing"); return 1; }
    printf("%llu\n", (unsigned long long)last);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "read")) return check(argv[2]);
    if (argc >= 5) return store(argv[2], argv[3], strtoull(argv[4], NULL, 10), argc > 5 ? MDB_NOSYNC : 0);
    return 2;
}
