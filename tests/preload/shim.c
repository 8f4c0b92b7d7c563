/* A machine that can be moved in time and an agent that is struck at an exact moment: preloaded by tests
 * into the shipped program, never a part of it.
 *
 * Orders lie in a file that both sides map (EPHEMERALD_TEST_ORDERS), ten numbers of 64 bits:
 *
 *   0 wall     milliseconds that the wall clock is ahead of the true one; may be negative
 *   1 boot     the same for the boot-time clock
 *   2 at       the touch of the ledger's files, counted from 1, at which the signal comes; 0: none
 *   3 sorts    which touches count: 1 reads, 2 writes, 4 syncs
 *   4 signal   the signal's number
 *   5 after    whether it comes after the touch instead of before it
 *   6 seen     touches counted so far
 *   7 fired    1 as soon as the signal was sent
 *   8 hang     syncs of the ledger's files do not come back while it is set
 *   9 hanging  1 as soon as one of them waits
 *
 * Clocks: the program reads them through the kernel's page (vDSO) without asking libc, so the function in
 * that page is overwritten. With EPHEMERALD_TEST_BOOT_ID the kernel's boot id is read from that file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

enum { WALL, BOOT, AT, SORTS, SIGNAL, AFTER, SEEN, FIRED, HANG, HANGING, ORDERS };
enum { READ = 1, WRITE = 2, SYNC = 4 };
static volatile int64_t none[ORDERS], *orders = none;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *what) {
    dprintf(2, "preloaded shim: %s: %s\n", what, strerror(errno));
    _exit(97);
}

static long raw_clock(long id, struct timespec *at) {
#if defined(__x86_64__)
    long answer;
    __asm__ volatile("syscall" : "=a"(answer) : "0"(SYS_clock_gettime), "D"(id), "S"(at) : "rcx", "r11", "memory");
    return answer;
#else
    return syscall(SYS_clock_gettime, id, at) ? -errno : 0;
#endif
}

/* What takes the place of the kernel's own function. */
static int moved_clock(clockid_t id, struct timespec *at) {
    long answer = raw_clock(id, at);
    int64_t by = id == CLOCK_REALTIME ? orders[WALL] : id == CLOCK_BOOTTIME ? orders[BOOT] : 0;
    if (answer == 0 && by) {
        int64_t ns = at->tv_nsec + by % 1000 * 1000000;
        at->tv_sec += by / 1000 + (ns < 0 ? -1 : ns / 1000000000);
        at->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    }
    return (int)answer;
}

static void kernels_page(uintptr_t code, uintptr_t *start, uintptr_t *end) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4200];
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= code && code < to) *start = from, *end = to;
    }
    if (maps) fclose(maps);
}

static void move_clocks(void) {
    void *page = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
#if defined(__x86_64__)
    unsigned char *code = page ? dlsym(page, "__vdso_clock_gettime") : NULL;
    unsigned char jump[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* mov rax, TO; jmp rax */
    const int place = 2;
#elif defined(__aarch64__)
    unsigned char *code = page ? dlsym(page, "__kernel_clock_gettime") : NULL;
    unsigned char jump[] = {0x50, 0, 0, 0x58, 0, 2, 0x1f, 0xd6, 0, 0, 0, 0, 0, 0, 0, 0}; /* ldr x16, TO; br x16 */
    const int place = 8;
#else
#error "this shim does not know how this machine jumps"
#endif
    if (!code) give_up("the kernel's clock function is not found");
    void *to = (void *)moved_clock;
    memcpy(jump + place, &to, sizeof to);
    uintptr_t start = 0, end = 0;
    kernels_page((uintptr_t)code, &start, &end);
    /* Wholly: the kernel does not let the mapping be split. */
    if (!end || mprotect((void *)start, end - start, PROT_READ | PROT_WRITE | PROT_EXEC))
        give_up("the kernel's page cannot be written");
    memcpy(code, jump, sizeof jump);
    __builtin___clear_cache((char *)code, (char *)code + sizeof jump);
    mprotect((void *)start, end - start, PROT_READ | PROT_EXEC);
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("EPHEMERALD_TEST_ORDERS");
    if (!file) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) give_up(file);
    close(fd);
    orders = map;
    move_clocks();
}

static int is_ledger(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    const char *name = strrchr(path, '/');
    return name && strncmp(name, "/ledger.", 8) == 0;
}

static int counts(int fd, int sort) { return (orders[SORTS] & sort) && is_ledger(fd); }

/* One touch; whether the signal comes after it. */
static int touch(void) {
    pthread_mutex_lock(&lock);
    int64_t now = orders[SEEN] + 1;
    orders[SEEN] = now;
    int strikes = orders[AT] && now == orders[AT];
    pthread_mutex_unlock(&lock);
    if (!strikes || orders[AFTER]) return strikes;
    orders[FIRED] = 1;
    kill(getpid(), (int)orders[SIGNAL]);
    return 0;
}

static void strike(void) {
    int kept = errno;
    orders[FIRED] = 1;
    kill(getpid(), (int)orders[SIGNAL]);
    errno = kept;
}

#define TOUCH(TYPE, SORT, CALL)             \
    if (!counts(fd, SORT)) return CALL;     \
    int struck = touch();                   \
    TYPE done = CALL;                       \
    if (struck) strike();                   \
    return done

ssize_t read(int fd, void *to, size_t len) {
    REAL(ssize_t, "read", int, void *, size_t);
    TOUCH(ssize_t, READ, real(fd, to, len));
}

ssize_t pread64(int fd, void *to, size_t len, off64_t from) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    TOUCH(ssize_t, READ, real(fd, to, len, from));
}

ssize_t write(int fd, const void *data, size_t len) {
    REAL(ssize_t, "write", int, const void *, size_t);
    TOUCH(ssize_t, WRITE, real(fd, data, len));
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t from) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    TOUCH(ssize_t, WRITE, real(fd, data, len, from));
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    TOUCH(int, WRITE, real(fd, size));
}

/* A disk that takes its time. */
static void hang(int fd) {
    const struct timespec moment = {0, 1000000};
    while (orders[HANG] && is_ledger(fd)) {
        orders[HANGING] = 1;
        nanosleep(&moment, NULL);
    }
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    hang(fd);
    TOUCH(int, SYNC, real(fd));
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    hang(fd);
    TOUCH(int, SYNC, real(fd));
}

static const char *seen_as(const char *path) {
    const char *other = getenv("EPHEMERALD_TEST_BOOT_ID");
    return other && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? other : path;
}

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return real(seen_as(path), flags, mode);
}
