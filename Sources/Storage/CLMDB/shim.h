/* The system's LMDB, and statfs(2), which the Glibc module does not carry. */
#ifndef CLMDB_SHIM_H
#define CLMDB_SHIM_H

#include <lmdb.h>
#include <sys/vfs.h>

/* The Glibc module is built without _GNU_SOURCE and so lacks this one; defining it here would give the two modules
   different ideas of the same structs. */
extern int fallocate(int descriptor, int mode, long offset, long length);
enum { LL_FALLOC_KEEP_SIZE = 1 };

#endif
