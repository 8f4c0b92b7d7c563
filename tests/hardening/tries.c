/* What somebody would try who has got into the daemon: preloaded by a test into the shipped program, never a part
 * of it. The tries are made on the daemon's own thread, when it listens on its socket: after it was confined and
 * before it does anything else. Each prints a line: its name and errno, 0 where nobody refused.
 *
 * Each is harmless where it is not refused. EPHEMERALD_TEST_TRIES is a directory that no rule names, with a file
 * `readable` in it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *name, long answer) {
    int why = answer < 0 ? errno : 0;
    /* One write, so that no line of the log comes between. */
    dprintf(2, "try %s %d\n", name, why);
}

static int opened(const char *dir, const char *name, int flags) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, flags, 0600), why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return fd;
}

static int a_socket(int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_CLOEXEC, protocol), why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return fd;
}

static int a_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int answer = bind(fd, (struct sockaddr *)&any, sizeof any), why = errno;
    close(fd);
    errno = why;
    return answer;
}

static long a_process(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, NULL, 0);
    return child;
}

/* 0: it is not. */
static long dumpable(void) {
    long is = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (is > 0) errno = EEXIST;
    return is > 0 ? -1 : is;
}

static long run_memory(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

static long memory_to_run(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static void all_of_them(const char *dir) {
    struct rlimit none = {0, 0};
    char byte;
    struct iovec here = {&byte, 1};
    /* System calls. The process id does not exist, nor does the program. */
    told("ptrace", ptrace(PTRACE_ATTACH, 0x3ffffff0, 0, 0));
    told("process_vm_readv", process_vm_readv(getpid(), &here, 1, &here, 1, 0));
    told("fork", a_process());
    told("execve", execve("/nonexistent/program", (char *[]){NULL}, (char *[]){NULL}));
    told("clone3", syscall(SYS_clone3, NULL, 0));
    told("netlink", a_socket(AF_NETLINK, SOCK_RAW, 0));
    told("raw_socket", a_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    told("write_and_run", run_memory());
    told("run_later", memory_to_run());
    told("signal_the_parent", kill(getppid(), 0));
    told("look_at_dumpable", dumpable());
    told("dumpable_again", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    told("a_limit", setrlimit(RLIMIT_CORE, &none));
    told("setuid", setuid(getuid()));
    told("unshare", unshare(0));
    /* Paths and ports. */
    told("read_outside", opened(dir, "readable", O_RDONLY));
    told("list_outside", opened(dir, "", O_RDONLY | O_DIRECTORY));
    told("write_outside", opened(dir, "readable", O_WRONLY));
    told("make_outside", opened(dir, "made", O_WRONLY | O_CREAT));
    told("write_to_etc", opened("/etc", "ephemerald-was-here", O_WRONLY | O_CREAT));
    told("listen_on_a_port", a_port());
    /* What it needs. */
    told("tcp", a_socket(AF_INET, SOCK_STREAM, 0));
    told("udp", a_socket(AF_INET6, SOCK_DGRAM, 0));
    told("signal_itself", kill(getpid(), 0));
    told("resolver", opened("/etc", "resolv.conf", O_RDONLY));
    told("itself", opened("/proc/self", "status", O_RDONLY));
    told("end", 0);
}

int listen(int socket, int backlog) {
    static int (*real)(int, int), done;
    if (!real) real = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
    const char *dir = getenv("EPHEMERALD_TEST_TRIES");
    if (dir && !done++) all_of_them(dir);
    return real(socket, backlog);
}
