/*
 * What TLS needs of libssl beside its functions: macros, which Swift does not see, under names of ours; and the
 * transport that a session's octets come from and go to, which is memory.
 *
 * libssl's own memory BIO copies what comes in, and what goes out, once more than needed. Here the octets that came in
 * and the room for those that go out are lent for the length of a call.
 */
#ifndef LETTERLOG_COPENSSL_TLS_H
#define LETTERLOG_COPENSSL_TLS_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* The two directions of one session, and what is counted on them. */
typedef struct ll_wire {
    /* Lent by the caller for one call; what libssl has taken is cut off. */
    const unsigned char *in;
    size_t in_count;
    /* Lent by the caller for one call: where octets for the peer go. */
    unsigned char *out;
    size_t out_count;
    size_t out_capacity;
    /* What did not fit there, after what did: handshakes and alerts come when nobody has lent room. From malloc(3). */
    unsigned char *spill;
    size_t spill_count;
    size_t spill_capacity;
    /* Of this session so far: KeyUpdate messages from the peer, and renegotiations that it asked for. */
    unsigned key_updates;
    unsigned renegotiations;
} ll_wire;

static inline int ll_wire_on_write(BIO *bio, const char *octets, size_t count, size_t *written) {
    ll_wire *wire = (ll_wire *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire == NULL) return 0;
    if (wire->spill_count == 0 && count <= wire->out_capacity - wire->out_count) {
        memcpy(wire->out + wire->out_count, octets, count);
        wire->out_count += count;
    } else {
        if (count > wire->spill_capacity - wire->spill_count) {
            size_t capacity = wire->spill_capacity * 2;
            unsigned char *grown;
            if (capacity < wire->spill_count + count) capacity = wire->spill_count + count;
            grown = (unsigned char *)realloc(wire->spill, capacity);
            if (grown == NULL) return 0;
            wire->spill = grown;
            wire->spill_capacity = capacity;
        }
        memcpy(wire->spill + wire->spill_count, octets, count);
        wire->spill_count += count;
    }
    *written = count;
    return 1;
}

static inline int ll_wire_on_read(BIO *bio, char *octets, size_t count, size_t *read) {
    ll_wire *wire = (ll_wire *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire == NULL || wire->in_count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (count > wire->in_count) count = wire->in_count;
    memcpy(octets, wire->in, count);
    wire->in += count;
    wire->in_count -= count;
    *read = count;
    return 1;
}

static inline long ll_wire_on_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static inline BIO_METHOD *ll_wire_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "letterlog wire");
    if (method == NULL) return NULL;
    BIO_meth_set_write_ex(method, ll_wire_on_write);
    BIO_meth_set_read_ex(method, ll_wire_on_read);
    BIO_meth_set_ctrl(method, ll_wire_on_control);
    return method;
}

/* Counts what a client may ask for again and again, at our cost. */
static inline void ll_wire_on_message(
    int is_ours, int version, int type, const void *octets, size_t count, SSL *ssl, void *argument) {
    ll_wire *wire = (ll_wire *)argument;
    const unsigned char *message = (const unsigned char *)octets;
    (void)version, (void)ssl;
    if (!is_ours && type == SSL3_RT_HANDSHAKE && count > 0 && message[0] == SSL3_MT_KEY_UPDATE) wire->key_updates++;
    /* The answer to a renegotiation that is not allowed (RFC 5246 section 7.2.2). */
    if (is_ours && type == SSL3_RT_ALERT && count == 2 && message[1] == SSL_AD_NO_RENEGOTIATION) {
        wire->renegotiations++;
    }
}

/* Lays the session's transport on the wire; 0 when memory is short. The wire must outlive the session. */
static inline int ll_wire_attach(ll_wire *wire, const BIO_METHOD *method, SSL *ssl) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    /* One reference serves both directions. */
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback(ssl, ll_wire_on_message);
    SSL_set_msg_callback_arg(ssl, wire);
    return 1;
}

/* Macros of libssl and libcrypto. */

static inline int ll_ctx_set_versions(SSL_CTX *context, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(context, lowest) && SSL_CTX_set_max_proto_version(context, highest);
}

static inline int ll_ctx_set_groups(SSL_CTX *context, const char *groups) {
    return (int)SSL_CTX_set1_groups_list(context, groups);
}

/* No renegotiation, no compression, our order of ciphers; no buffers while idle, and tickets in place of a cache. */
static inline void ll_ctx_set_habits(SSL_CTX *context) {
    SSL_CTX_set_options(
        context,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline void ll_ctx_set_certificate_octets_max(SSL_CTX *context, long octets) {
    SSL_CTX_set_max_cert_list(context, octets);
}

static inline int ll_ctx_add_chain(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

/* SNI of a client (RFC 6066 section 3). */
static inline int ll_ssl_set_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }

typedef int (*ll_name_callback)(SSL *, int *, void *);

static inline void ll_ctx_set_name_callback(SSL_CTX *context, ll_name_callback callback) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
}

typedef int (*ll_ticket_callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int);

static inline int ll_ctx_set_ticket_callback(SSL_CTX *context, ll_ticket_callback callback) {
    return (int)SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}

/* HMAC with SHA-256 under this key. Parameters point to their names, which Swift's strings do not outlive. */
static inline int ll_mac_set(EVP_MAC_CTX *mac, const unsigned char *key, size_t count) {
    OSSL_PARAM parameters[3];
    parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    parameters[2] = OSSL_PARAM_construct_end();
    return EVP_MAC_CTX_set_params(mac, parameters);
}

static inline int ll_ssl_new_index(void) {
    return CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
}

/* Whether the session's keys are bound to its whole handshake (RFC 7627). */
static inline int ll_ssl_has_extended_master_secret(SSL *ssl) { return SSL_get_extms_support(ssl) == 1; }

static inline EVP_PKEY *ll_new_p256_key(void) { return EVP_EC_gen("P-256"); }

static inline int ll_stack_count(const void *stack) { return OPENSSL_sk_num((const OPENSSL_STACK *)stack); }

static inline void *ll_stack_item(const void *stack, int index) {
    return OPENSSL_sk_value((const OPENSSL_STACK *)stack, index);
}

/* RFC 2253, with everything escaped that is not printable ASCII. */
static inline void ll_name_print(BIO *writer, X509_NAME *name) { X509_NAME_print_ex(writer, name, 0, XN_FLAG_RFC2253); }

static inline void ll_free(void *memory) { OPENSSL_free(memory); }

static inline void ll_names_free(void *names) { GENERAL_NAMES_free((GENERAL_NAMES *)names); }

/* The text of an alternative name of this type (GEN_DNS, GEN_EMAIL), or NULL; `count` gets its length. */
static inline const unsigned char *ll_name_text(const void *name, int type, int *count) {
    const GENERAL_NAME *general = (const GENERAL_NAME *)name;
    if (general->type != type) return NULL;
    *count = ASN1_STRING_length(general->d.ia5);
    return ASN1_STRING_get0_data(general->d.ia5);
}

#endif
