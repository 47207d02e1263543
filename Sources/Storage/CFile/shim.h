/* fallocate(2): the C library declares it for GNU sources only, and the Glibc module is built without that. */
#ifndef CFILE_SHIM_H
#define CFILE_SHIM_H

#include <linux/falloc.h>
#include <sys/types.h>

int fallocate(int fd, int mode, off_t offset, off_t len);

#endif
