// Makes each flush of a file take SLOW_DISK_MS milliseconds longer. Loaded by LD_PRELOAD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int flush(const char *name, int file) {
    const char *millis = getenv("SLOW_DISK_MS");
    if (millis) usleep(1000 * (useconds_t)atoi(millis));
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return next(file);
}

int fsync(int file) { return flush("fsync", file); }
int fdatasync(int file) { return flush("fdatasync", file); }
