/*
 * The system's OpenSSL 3, as Digests and TLS see it.
 *
 * The low-level SHA functions are deprecated in OpenSSL 3 in favour of EVP, which fetches an implementation and
 * allocates a context for every digest. Records are hashed by the hundred thousand, so the low-level ones are
 * wrapped here, where the compiler's notice can be silenced for these calls alone.
 */
#ifndef LETTERLOG_COPENSSL_SHIM_H
#define LETTERLOG_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/opensslv.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

static inline int ll_sha256_init(SHA256_CTX *context) { return SHA256_Init(context); }

static inline int ll_sha256_update(SHA256_CTX *context, const void *bytes, size_t count) {
    return SHA256_Update(context, bytes, count);
}

static inline int ll_sha256_final(unsigned char *digest, SHA256_CTX *context) {
    return SHA256_Final(digest, context);
}

#pragma clang diagnostic pop

#include "tls.h"

#endif
