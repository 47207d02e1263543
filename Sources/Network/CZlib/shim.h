/* zlib, as Gateways sees it: what it declares as macros, as functions. Streams have no header (RFC 1951). */
#ifndef LETTERLOG_CZLIB_SHIM_H
#define LETTERLOG_CZLIB_SHIM_H

#include <zlib.h>

static inline int ll_deflate_init(z_streamp stream, int level, int window_bits, int memory_level) {
    return deflateInit2(stream, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY);
}

static inline int ll_inflate_init(z_streamp stream) { return inflateInit2(stream, -MAX_WBITS); }

#endif
