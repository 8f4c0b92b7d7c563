"""One process in a container of its own, or in one that runs. Called by kubelet.py; needs root.

The network is this machine's, so that servers on loopback can be reached.
"""

import ctypes
import json
import os
import pathlib
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_HOST, NEW_IPC, NEW_PIDS = 0x00020000, 0x04000000, 0x08000000, 0x20000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
SET_DEATH_SIGNAL, CAPABILITY_DROP, NO_NEW_PRIVILEGES = 1, 24, 38


def call(name, *args):
    if getattr(LIBC, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}{args}: {os.strerror(error)}")


def mount(source, target, kind, flags):
    text = lambda value: value and os.fsencode(value)
    call("mount", text(source), text(target), text(kind), flags, None)


def bind(source, target, read_only):
    mount(source, target, None, BIND | RECURSIVE)
    if read_only:
        mount(None, target, None, BIND | REMOUNT | READ_ONLY)


def become(how):
    os.chdir("/")
    if not how["keep_capabilities"]:
        last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
        for capability in range(last + 1):
            call("prctl", CAPABILITY_DROP, capability, 0, 0, 0)
    os.setgroups(how["groups"])
    os.setgid(how["group"])
    os.setuid(how["user"])
    if how["no_new_privileges"]:
        call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # Whoever plays the kubelet may be killed; its containers go with it. A change of user would undo it.
    call("prctl", SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    os.umask(0o022)
    os.execve(how["command"][0], how["command"], how["env"])


def first_process(how):
    root = how["root"]
    mount(None, "/", None, RECURSIVE | PRIVATE)
    bind(root, root, False)
    for source, target, read_only in how["binds"]:
        if os.path.isdir(source):
            os.makedirs(f"{root}/{target}", exist_ok=True)
        bind(source, f"{root}/{target}", read_only)
    mount("proc", f"{root}/proc", "proc", 0)
    if how["read_only"]:
        mount(None, root, None, BIND | REMOUNT | READ_ONLY)
    os.chroot(root)
    become(how)


def join(how):
    """The namespaces and the root of a running container."""
    there = f"/proc/{how['join']}"
    root = os.open(f"{there}/root", os.O_RDONLY)
    spaces = [os.open(f"{there}/ns/{name}", os.O_RDONLY) for name in ("ipc", "uts", "pid", "mnt")]
    for space in spaces:
        call("setns", space, 0)
    os.fchdir(root)
    os.chroot(".")


def main():
    how = json.loads(sys.argv[1])
    if "join" in how:
        join(how)
    else:
        call("unshare", NEW_MOUNTS | NEW_PIDS | NEW_IPC | NEW_HOST)
    child = os.fork()
    if child == 0:
        try:
            become(how) if "join" in how else first_process(how)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must be seen and end here
            print(f"cannot start: {error}", file=sys.stderr, flush=True)
            os._exit(126)
    if "join" not in how:
        file = pathlib.Path(how["pid_file"])
        file.with_suffix(".new").write_text(str(child))
        file.with_suffix(".new").rename(file)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


main()
