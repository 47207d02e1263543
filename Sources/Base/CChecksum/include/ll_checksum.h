/*
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's own instruction where it has one.
 */
#ifndef LETTERLOG_CHECKSUM_H
#define LETTERLOG_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` covers followed by `count` bytes. `crc` is 0 for nothing, or an earlier result. */
uint32_t ll_crc32c(uint32_t crc, const void *bytes, size_t count);

/* The same by tables alone: what runs on processors without the instruction. Tests compare the two. */
uint32_t ll_crc32c_table(uint32_t crc, const void *bytes, size_t count);

/* Whether `ll_crc32c` uses the processor's instruction on this machine. */
bool ll_crc32c_has_instruction(void);

#endif
