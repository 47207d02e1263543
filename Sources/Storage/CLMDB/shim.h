/* The system's LMDB, and statfs(2), which the Glibc module does not carry. */
#ifndef CLMDB_SHIM_H
#define CLMDB_SHIM_H

#include <lmdb.h>
#include <sys/vfs.h>

#endif
