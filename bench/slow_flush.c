/* Preloaded into a server, makes each flush of the write-ahead log take a millisecond longer, as on a slower disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int fdatasync(int fd) {
  static int (*real)(int);
  struct timespec millisecond = {0, 1000000};

  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  nanosleep(&millisecond, 0);
  return real(fd);
}
