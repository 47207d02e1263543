/* The system's LMDB; statfs(2) and fallocate(2), which the Glibc module does not carry. */
#ifndef CLMDB_SHIM_H
#define CLMDB_SHIM_H

#include <lmdb.h>
#include <linux/falloc.h>
#include <sys/types.h>
#include <sys/vfs.h>

int fallocate(int fd, int mode, off_t offset, off_t len);

#endif
