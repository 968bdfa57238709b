/* Preloaded into a server, lets the disk be full: what would make a file longer fails with ENOSPC, as long as the file that
   the environment variable SPINE_FULL names holds a pattern (fnmatch, one a line) that the file's path matches. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static int is_full(const char *path) {
  char patterns[4096], *line, *rest = patterns;
  const char *control = getenv("SPINE_FULL");
  int file = control ? REAL(int, "open64", const char *, int, ...)(control, O_RDONLY) : -1;
  ssize_t size;

  if (file < 0) return 0;
  size = read(file, patterns, sizeof patterns - 1);
  close(file);
  patterns[size > 0 ? size : 0] = '\0';
  while ((line = strsep(&rest, "\n")))
    if (*line && fnmatch(line, path, 0) == 0) return 1;
  return 0;
}

/* Whether the file has no room up to that end. */
static int grows(int file, off64_t end) {
  char link[64], path[4096];
  struct stat64 now;
  ssize_t size;
  int before = errno, full = 0;

  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (fstat64(file, &now) == 0 && S_ISREG(now.st_mode) && end > now.st_size && (size = readlink(link, path, sizeof path - 1)) > 0) {
    path[size] = '\0';
    full = is_full(path);
  }
  errno = full ? ENOSPC : before;
  return full;
}

static off64_t length(const struct iovec *parts, int count) {
  off64_t sum = 0;
  while (count-- > 0) sum += parts[count].iov_len;
  return sum;
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
  if (grows(file, at + (off64_t)size)) return -1;
  return REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(file, data, size, at);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) { return pwrite64(file, data, size, at); }

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
  if (grows(file, at + length(parts, count))) return -1;
  return REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t)(file, parts, count, at);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) { return pwritev64(file, parts, count, at); }

ssize_t write(int file, const void *data, size_t size) {
  if (grows(file, lseek64(file, 0, SEEK_CUR) + (off64_t)size)) return -1;
  return REAL(ssize_t, "write", int, const void *, size_t)(file, data, size);
}

int posix_fallocate64(int file, off64_t at, off64_t size) {
  if (grows(file, at + size)) return ENOSPC;
  return REAL(int, "posix_fallocate64", int, off64_t, off64_t)(file, at, size);
}
int posix_fallocate(int file, off_t at, off_t size) { return posix_fallocate64(file, at, size); }
