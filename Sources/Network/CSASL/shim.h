/*
 * Cyrus SASL (libsasl2), as Authentication sees it.
 *
 * Callbacks are declared by the library as functions without arguments and cast to what they really take. The casts
 * are here, where C allows them. The mechanisms that we use are loaded by name from the folder that the library's own
 * file is in: left to itself libsasl2 loads every plug-in it finds, Berkeley DB and Kerberos among them.
 */
#ifndef LETTERLOG_CSASL_SHIM_H
#define LETTERLOG_CSASL_SHIM_H

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>
#include <sasl/prop.h>
#include <sasl/saslplug.h>

/* SASL_CB_SERVER_USERDB_CHECKPASS */
typedef int (*ll_sasl_checkpass_t)(sasl_conn_t *, void *, const char *, const char *, unsigned, struct propctx *);
/* What the property plug-in is asked for: the context is that of the connection. */
typedef void (*ll_sasl_lookup_t)(void *context, sasl_server_params_t *, const char *user, unsigned length);

/* The number under which a connection's callbacks hold the latter: none of the library's. */
#define LL_SASL_CB_LOOKUP 0x4C4C

static int ll_sasl_log(void *context, int level, const char *message) {
    (void)context, (void)level, (void)message;
    return SASL_OK; /* Its messages name users, and say nothing that the answers do not. */
}

static int ll_sasl_getopt(void *context, const char *plugin, const char *option, const char **result,
                          unsigned *length) {
    (void)context, (void)plugin;
    const char *value = NULL;
    if (!strcmp(option, "auxprop_plugin")) value = "letterlog";
    else if (!strcmp(option, "pwcheck_method")) value = "auxprop";
    else if (!strcmp(option, "log_level")) value = "0";
    else return SASL_FAIL;
    *result = value;
    if (length) *length = (unsigned)strlen(value);
    return SASL_OK;
}

/* No folder of plug-ins and none of configurations. */
static int ll_sasl_getpath(void *context, const char **path) {
    (void)context;
    *path = "/nonexistent/letterlog";
    return SASL_OK;
}

static int ll_sasl_getconfpath(void *context, char **path) {
    (void)context;
    *path = strdup("/nonexistent/letterlog");
    return *path ? SASL_OK : SASL_NOMEM;
}

/* Whether the one may act for the other is decided once the exchange is over, by what both names lead to. */
static int ll_sasl_proxy(sasl_conn_t *c, void *context, const char *user, unsigned ulen, const char *auth,
                         unsigned alen, const char *realm, unsigned rlen, struct propctx *props) {
    (void)c, (void)context, (void)user, (void)ulen, (void)auth, (void)alen, (void)realm, (void)rlen, (void)props;
    return SASL_OK;
}

static void *ll_sasl_mutex_new(void) {
    pthread_mutex_t *m = malloc(sizeof *m);
    if (m && pthread_mutex_init(m, NULL)) {
        free(m);
        m = NULL;
    }
    return m;
}
static int ll_sasl_mutex_lock(void *m) { return pthread_mutex_lock(m) ? SASL_FAIL : SASL_OK; }
static int ll_sasl_mutex_unlock(void *m) { return pthread_mutex_unlock(m) ? SASL_FAIL : SASL_OK; }
static void ll_sasl_mutex_free(void *m) {
    pthread_mutex_destroy(m);
    free(m);
}

/* The property plug-in: asks the connection for which it is called. */
static int ll_sasl_auxprop_lookup(void *glob, sasl_server_params_t *params, unsigned flags, const char *user,
                                  unsigned length) {
    (void)glob;
    sasl_callback_ft proc = NULL;
    void *context = NULL;
    if (flags & (SASL_AUXPROP_AUTHZID | SASL_AUXPROP_VERIFY_AGAINST_HASH)) return SASL_OK;
    int got = params->utils->getcallback(params->utils->conn, LL_SASL_CB_LOOKUP, &proc, &context);
    if (got == SASL_OK && proc) ((ll_sasl_lookup_t)(void *)proc)(context, params, user, length);
    return SASL_OK;
}

static int ll_sasl_auxprop_init(const sasl_utils_t *utils, int max_version, int *out_version,
                                sasl_auxprop_plug_t **plug, const char *name) {
    (void)utils, (void)name;
    static sasl_auxprop_plug_t plugin;
    if (max_version < SASL_AUXPROP_PLUG_VERSION) return SASL_BADVERS;
    plugin.auxprop_lookup = ll_sasl_auxprop_lookup;
    plugin.name = (char *)"letterlog";
    *out_version = SASL_AUXPROP_PLUG_VERSION;
    *plug = &plugin;
    return SASL_OK;
}

static inline int ll_sasl_set_authpassword(sasl_server_params_t *params, const char *value) {
    return params->utils->prop_set(params->propctx, "*authPassword", value, 0);
}

/*
 * dladdr(3), which dlfcn.h declares for _GNU_SOURCE only. That macro would change fd_set, and two modules with unlike
 * types of one name do not compile together.
 */
struct ll_dl_info {
    const char *file;
    void *base;
    const char *symbol;
    void *address;
};
extern int ll_dladdr(const void *address, struct ll_dl_info *info) __asm__("dladdr");

/* Loads one mechanism plug-in, for ever. */
static int ll_sasl_load(const char *folder, const char *name) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/lib%s.so.2", folder, name) >= (int)sizeof path) return SASL_BUFOVER;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return SASL_NOMECH;
    sasl_server_plug_init_t *init = (sasl_server_plug_init_t *)dlsym(library, "sasl_server_plug_init");
    if (!init) return SASL_NOMECH;
    return sasl_server_add_plugin(name, init);
}

/*
 * Starts the library, once in a process.
 *
 * - folder: that of the mechanism plug-ins; NULL takes the one beside the library's own file.
 * - missing: gets the first plug-in that could not be loaded.
 */
static inline int ll_sasl_start(const char *folder, const char **missing) {
    static const sasl_callback_t callbacks[] = {
        {SASL_CB_LOG, (int (*)(void))ll_sasl_log, NULL},
        {SASL_CB_GETOPT, (int (*)(void))ll_sasl_getopt, NULL},
        {SASL_CB_GETPATH, (int (*)(void))ll_sasl_getpath, NULL},
        {SASL_CB_GETCONFPATH, (int (*)(void))ll_sasl_getconfpath, NULL},
        {SASL_CB_PROXY_POLICY, (int (*)(void))ll_sasl_proxy, NULL},
        {SASL_CB_LIST_END, NULL, NULL},
    };
    static const char *const plugins[] = {"scram", "plain", "login"};
    char beside[4096];
    if (!folder) {
        struct ll_dl_info info;
        if (!ll_dladdr((void *)sasl_server_init, &info) || !info.file) return SASL_FAIL;
        const char *slash = strrchr(info.file, '/');
        int length = slash ? (int)(slash - info.file) : 0;
        if (snprintf(beside, sizeof beside, "%.*s/sasl2", length, info.file) >= (int)sizeof beside)
            return SASL_BUFOVER;
        folder = beside;
    }
    sasl_set_mutex(ll_sasl_mutex_new, ll_sasl_mutex_lock, ll_sasl_mutex_unlock, ll_sasl_mutex_free);
    int result = sasl_server_init(callbacks, "letterlog");
    if (result == SASL_OK) result = sasl_auxprop_add_plugin("letterlog", ll_sasl_auxprop_init);
    for (unsigned i = 0; result == SASL_OK && i < sizeof plugins / sizeof *plugins; i++) {
        result = ll_sasl_load(folder, plugins[i]);
        if (result != SASL_OK) *missing = plugins[i];
    }
    return result;
}

/* Makes a server's side of one exchange. `callbacks` has room for three and lives as long as the result. */
static inline sasl_conn_t *ll_sasl_new(const char *service, const char *host, sasl_callback_t *callbacks,
                                       ll_sasl_checkpass_t checkpass, ll_sasl_lookup_t lookup, void *context) {
    sasl_conn_t *connection = NULL;
    sasl_security_properties_t properties = {0};
    callbacks[0] = (sasl_callback_t){SASL_CB_SERVER_USERDB_CHECKPASS, (int (*)(void))(void *)checkpass, context};
    callbacks[1] = (sasl_callback_t){LL_SASL_CB_LOOKUP, (int (*)(void))(void *)lookup, context};
    callbacks[2] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    if (sasl_server_new(service, host, NULL, NULL, NULL, callbacks, 0, &connection) != SASL_OK) return NULL;
    properties.security_flags = SASL_SEC_NOANONYMOUS;
    if (sasl_setprop(connection, SASL_SEC_PROPS, &properties) != SASL_OK) sasl_dispose(&connection);
    return connection;
}

/* The library keeps the pointers of `binding`. */
static inline int ll_sasl_bind_channel(sasl_conn_t *connection, const sasl_channel_binding_t *binding) {
    return sasl_setprop(connection, SASL_CHANNEL_BINDING, binding);
}

static inline int ll_sasl_set_external(sasl_conn_t *connection, const char *name) {
    return sasl_setprop(connection, SASL_AUTH_EXTERNAL, name);
}

/* The names of an exchange that has succeeded; NULL where there is none. */
static inline const char *ll_sasl_property(sasl_conn_t *connection, int which) {
    const void *value = NULL;
    return sasl_getprop(connection, which, &value) == SASL_OK ? (const char *)value : NULL;
}

#endif
