/*
 * Two ways to the same number: the crc32 instruction of SSE 4.2 or of ARMv8, and slicing by eight with tables.
 * The instruction is chosen at run time, so that one binary serves every processor of its architecture.
 *
 * Not done: three interleaved streams joined by a carry-less multiplication. One stream reads about 8 bytes in
 * three cycles, which is far above what the disk under it takes.
 *
 * The value kept between calls is the finished CRC; each call inverts it on the way in and out.
 */
#include "ll_checksum.h"

#include <pthread.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the table variant reads words in little-endian order"
#endif

#define POLYNOMIAL_REFLECTED 0x82F63B78u

static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) ? POLYNOMIAL_REFLECTED : 0);
        table[0][byte] = value;
    }
    for (int row = 1; row < 8; row++)
        for (int byte = 0; byte < 256; byte++)
            table[row][byte] = (table[row - 1][byte] >> 8) ^ table[0][table[row - 1][byte] & 0xFF];
}

uint32_t ll_crc32c_table(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&once, make_table);
    const unsigned char *next = bytes;
    crc = ~crc;
    while (count >= 8) {
        uint32_t low, high;
        memcpy(&low, next, 4);
        memcpy(&high, next + 4, 4);
        low ^= crc;
        crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24]
            ^ table[3][high & 0xFF] ^ table[2][(high >> 8) & 0xFF] ^ table[1][(high >> 16) & 0xFF] ^ table[0][high >> 24];
        next += 8;
        count -= 8;
    }
    while (count-- > 0) crc = (crc >> 8) ^ table[0][(crc ^ *next++) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

bool ll_crc32c_has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    uint64_t wide = (uint32_t)~crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        wide = _mm_crc32_u64(wide, word);
        next += 8;
        count -= 8;
    }
    uint32_t narrow = (uint32_t)wide;
    while (count-- > 0) narrow = _mm_crc32_u8(narrow, *next++);
    return ~narrow;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

bool ll_crc32c_has_instruction(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("crc")))
static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    crc = ~crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        crc = __crc32cd(crc, word);
        next += 8;
        count -= 8;
    }
    while (count-- > 0) crc = __crc32cb(crc, *next++);
    return ~crc;
}

#else

bool ll_crc32c_has_instruction(void) { return false; }

static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    return ll_crc32c_table(crc, bytes, count);
}

#endif

uint32_t ll_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return ll_crc32c_has_instruction() ? by_instruction(crc, bytes, count) : ll_crc32c_table(crc, bytes, count);
}
