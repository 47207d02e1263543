/*
 * libcrypt (libxcrypt), as Authentication sees it: the hashes of crypt(5).
 *
 * Its working area is 32 KiB, and holds what was hashed: it is wiped before it is let go.
 */
#ifndef LETTERLOG_CCRYPT_SHIM_H
#define LETTERLOG_CCRYPT_SHIM_H

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

/* Hashes `phrase` as `setting` says. Fills `output` (CRYPT_OUTPUT_SIZE octets); 0 when it could. */
static inline int ll_crypt(const char *phrase, const char *setting, char *output) {
    int result = -1;
    struct crypt_data *data = (struct crypt_data *)calloc(1, sizeof *data);
    if (!data) return -1;
    const char *hash = crypt_rn(phrase, setting, data, (int)sizeof *data);
    if (hash && *hash != '*' && strlen(hash) < CRYPT_OUTPUT_SIZE) {
        strcpy(output, hash);
        result = 0;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return result;
}

#endif
