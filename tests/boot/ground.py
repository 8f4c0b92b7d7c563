"""The machines that the boot tests play on: a bare Debian root, kept under target/boot, and copies of it.

Refuses to touch the machine it runs on beyond installing missing tools: everything is started in namespaces
of its own (mounts, network, processes), which end with the script, and nothing there reaches any network.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
KEPT = TREE / "target" / "boot"
SUITE = "bookworm"

# What a server has that somebody installed from Debian's installer without choosing anything; nothing of ours.
BARE = "systemd,systemd-sysv,udev,dbus"

TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "rpm": "rpm",
    "nft": "nftables",
    "tinyproxy": "tinyproxy-bin",
}


def say(text):
    print(f"boot: {text}", flush=True)


def skip_unless_possible():
    """Says aloud, and exits with 77 (not 0), where the tests cannot be played."""
    if os.geteuid() != 0:
        say("SKIPPED, NOTHING WAS TESTED: booting needs root")
        sys.exit(77)
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        say(f"installing {' '.join(missing)}")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
        subprocess.run(
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing], check=True, **quiet
        )


def bare_debian():
    """The root that is copied; made once."""
    made = KEPT / "debian"
    if not made.exists():
        say(f"making a bare Debian root ({SUITE}), once")
        half = KEPT / "debian.half"
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(parents=True, exist_ok=True)
        log = (KEPT / "debootstrap.log").open("w")
        command = ["debootstrap", "--variant=minbase", f"--include={BARE}", SUITE, str(half)]
        if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode != 0:
            sys.exit(f"boot: debootstrap failed: {log.name}")
        half.rename(made)
    return made


def emulator():
    """A root that holds an emulator, a kernel and its initial disk; made once, so that the host needs none."""
    made = KEPT / "emulator"
    if not made.exists():
        say("making a root with an emulator and a kernel, once")
        half = copy_of(bare_debian(), "emulator.half")
        shutil.copy("/etc/resolv.conf", half / "etc" / "resolv.conf")
        packages = "qemu-system-x86 linux-image-cloud-amd64 initramfs-tools zstd"
        script = f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {packages}"
        log = (KEPT / "emulator.log").open("w")
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        for name in ("http_proxy", "https_proxy"):
            if name in os.environ:
                env[name] = os.environ[name]
        done = subprocess.run(["chroot", str(half), "sh", "-c", script], stdout=log, stderr=log, env=env)
        if done.returncode != 0:
            sys.exit(f"boot: the emulator could not be installed: {log.name}")
        half.rename(made)
    return made


def copy_of(root, name):
    """A copy below target/boot; one that was left there is replaced."""
    copy = KEPT / name
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(root), str(copy)], check=True)
    return copy


def packages(program, versions, packed=False):
    """Our packages in these versions, of one program (built when None); `packed`: they are there already."""
    built = {}
    for version in versions:
        there = TREE / "target" / "packages"
        if packed:
            built[version, "deb"] = there / f"ephemerald_{version}-1_amd64.deb"
            built[version, "rpm"] = there / f"ephemerald-{version}-1.x86_64.rpm"
            continue
        command = [str(TREE / "deploy" / "packages" / "build"), "--version", version]
        if program:
            command += ["--program", str(program)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=TREE)
        if done.returncode != 0:
            sys.exit("boot: the packages could not be built")
        for line in done.stdout.split():
            built[version, "deb" if line.endswith(".deb") else "rpm"] = TREE / line
    return built


def within_own_namespaces():
    """Starts this script anew in namespaces of its own, once; returns only there."""
    if os.environ.get("EPHEMERALD_BOOT_INSIDE") == "yes":
        # A tree of control groups as the one that systemd boots in, also where this machine's is another.
        script = """
            mount -t tmpfs tmpfs /run
            for dir in /sys/fs/cgroup/*; do umount "$dir" 2>/dev/null; done
            umount /sys/fs/cgroup 2>/dev/null
            mount -t cgroup2 none /sys/fs/cgroup
            mkdir -p "/sys/fs/cgroup/boot-$1"
            ip link set lo up
        """
        name = os.environ["EPHEMERALD_BOOT_ID"]
        subprocess.run(["sh", "-c", script, "sh", name], check=True)
        Path(f"/sys/fs/cgroup/boot-{name}/cgroup.procs").write_text("0")
        return
    env = {**os.environ, "EPHEMERALD_BOOT_INSIDE": "yes", "EPHEMERALD_BOOT_ID": str(os.getpid())}
    unshare = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child"]
    sys.exit(subprocess.run([*unshare, "--mount-proc", sys.executable, *sys.argv], env=env).returncode)
