#!/usr/bin/env python3
"""Power cuts while access is live, on a machine that really boots: emulated, with a disk that loses what was
not synced.

    tests/boot/power_cut.py [--program STATIC] [--sandbox PROGRAM] [--packed] [--keep]

JumpCloud and the control plane go on beside it, as they would. The power is cut by killing the emulator, which
writes past the host's cache. Once it comes back before the grant's end, once after. Needs root. Exit 0: all was
as promised; 1: a deviation; 77: nothing was tested.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was committed
import ground
from parts import Parts, expect, wait_for
from seen import Seen

# As the emulator's network shows this machine's loopback to its guest.
HOST = "10.0.2.2"
PROXY = "/lib/systemd/systemd-socket-proxyd"
DISK = "1200M"
# Emulated, beside other work: a boot takes half a minute, or three.
PATIENCE = 240


class Emulated:
    """The machine: a disk, and the power switch."""

    def __init__(self, disk, root, log):
        self.disk, self.root, self.log, self.boots = disk, root, log, 0
        self.kernel = next((root / "boot").glob("vmlinuz-*")).name
        self.initial = next((root / "boot").glob("initrd.img-*")).name

    def on(self):
        self.boots += 1
        inside = "/" + str(self.disk.relative_to(self.root))
        words = ["root=/dev/vda rw console=ttyS0 loglevel=4 random.trust_cpu=on"]
        command = ["chroot", str(self.root), "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35"]
        command += ["-m", "1024", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none"]
        command += ["-serial", "stdio", "-kernel", f"/boot/{self.kernel}", "-initrd", f"/boot/{self.initial}"]
        command += ["-append", *words, "-device", "virtio-blk-pci,drive=d0"]
        # cache=none: what the guest did not flush is in no cache of the host either.
        command += ["-drive", f"file={inside},if=none,id=d0,format=raw,cache=none,aio=threads"]
        command += ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci"]
        console = self.log.with_name(f"console-{self.boots}.log")
        self.console = console
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console.open("w"), stderr=subprocess.STDOUT
        )

    def cut(self):
        expect(self.process.poll() is None, "a machine that runs", self.console.read_text()[-2000:])
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Story:
    def __init__(self, arguments, seen):
        self.arguments, self.seen = arguments, seen
        self.machine = None

    def play(self):
        packed = ground.packages(self.arguments.program, ["0.1.0"], self.arguments.packed)
        work = ground.KEPT / "power-cut"
        shutil.rmtree(work, ignore_errors=True)
        self.parts = Parts(self.arguments.sandbox, work)
        root = ground.copy_of(ground.bare_debian(), "power-cut.root")
        self.set_up(root, packed["0.1.0", "deb"], work)
        emulator = ground.emulator()
        disk = emulator / "srv" / "power-cut.img"
        disk.unlink(missing_ok=True)
        subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(disk), DISK], check=True)
        self.seen.row("a disk with the package, enrolled", f"{DISK}, ext4")
        self.machine = Emulated(disk, emulator, work / "console")
        self.machine.on()
        # What was approved before an agent's ledger began is refused by it.
        wait_for("the agent tells how it stands", PATIENCE, lambda: self.parts.reported(0))
        self.boot_takes = self.seen.row("it boots", "the agent is ready")
        self.back_before_the_end()
        self.back_after_the_end()
        self.afterwards(disk, work)

    def set_up(self, root, deb, work):
        """What a newcomer types, in the root before it ever boots; then the way to the two servers."""
        shutil.copy(deb, root / "srv" / "ephemerald.deb")
        for name in ("jc-ca.pem", "cp-ca.pem"):
            shutil.copy(work / name, root / "srv" / name)
        inside(root, "dpkg -i /srv/ephemerald.deb >/dev/null")
        inside(
            root,
            "ephemerald init --non-interactive --url https://127.0.0.1:8443 --ca-file /srv/jc-ca.pem"
            " --api-key-file - --control-ca-file /srv/cp-ca.pem --role Manager=1h --mode enforce",
            self.parts.key,
        )
        inside(root, "runuser -u ephemerald -- ephemerald enroll", self.parts.token)
        inside(root, "systemctl --quiet enable ephemerald systemd-networkd")
        (root / "etc/systemd/network/lan.network").write_text(
            "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
        )
        # The certificates of the two servers are for loopback.
        for port in (8443, 7443):
            units = root / "etc/systemd/system"
            (units / f"way-{port}.socket").write_text(
                f"[Socket]\nListenStream=127.0.0.1:{port}\n[Install]\nWantedBy=sockets.target\n"
            )
            (units / f"way-{port}.service").write_text(f"[Service]\nExecStart={PROXY} {HOST}:{port}\n")
            inside(root, f"systemctl --quiet enable way-{port}.socket")

    def raised(self, account, duration):
        number = self.parts.ask(account, f"{duration}s")
        wait_for(f"{account} has the role", PATIENCE, lambda: self.parts.has_role(account))
        return number, self.parts.history(account)[-1][0]

    def gone(self, account, number, before, limit=PATIENCE):
        """Waits until JumpCloud shows the roles of before and the control plane has heard of it."""
        wait_for(f"{account} without the role", limit, lambda: not self.parts.has_role(account))
        at, roles = self.parts.history(account)[-1]
        expect(roles == before, "the roles from before the grant", roles)
        wait_for("the end is reported", PATIENCE, lambda: self.parts.state_of(number) == "ended")
        changes = self.parts.history(account)[1:]
        expect(len(changes) == 2, "raised once, lowered once", changes)
        return at

    def back_before_the_end(self):
        # Long enough for this machine to be back before the end, however slow it is.
        account, duration = "dmitri@example.com", int(30 + 1.5 * self.boot_takes)
        before = self.parts.history(account)[-1][1]
        number, raised = self.raised(account, duration)
        self.seen.row("it serves a grant", f"Manager for {duration} s")
        self.machine.cut()
        time.sleep(1)
        expect(self.parts.has_role(account), "access stays while the machine is off")
        self.machine.on()
        at = self.gone(account, number, before, limit=duration + PATIENCE)
        lasted = (at - raised) / 1000
        # The end is counted from the acceptance, a moment before the role is there.
        expect(lasted > duration - 5, "no end before its time", lasted)
        self.seen.row("POWER CUT, back before the end", f"gone {lasted:.1f} s after it was given for {duration} s")

    def back_after_the_end(self):
        account, duration = "farid@example.com", 40
        before = self.parts.history(account)[-1][1]
        number, raised = self.raised(account, duration)
        # In the instant in which JumpCloud has it: what the agent knows of it is what was durable before.
        self.machine.cut()
        wait_for("the end passes", duration + 10, lambda: time.time() * 1000 > raised + duration * 1000)
        expect(self.parts.has_role(account), "access stays while the machine is off")
        self.machine.on()
        on = time.time()
        at = self.gone(account, number, before)
        self.seen.row(
            "POWER CUT, back after the end",
            f"gone {at / 1000 - on:.1f} s after power-on, boot included",
        )

    def afterwards(self, disk, work):
        """The last cut, once nothing is left to end; then the disk is looked at."""
        gone = time.time() * 1000

        def at_rest():
            status = self.parts.reported(gone)
            return status and status["live_grants"] == 0 and status["ending"] == 0

        wait_for("the agent reports that nothing is live or ending", PATIENCE, at_rest)
        self.machine.cut()
        place = work / "disk"
        place.mkdir()
        subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=True)
        try:
            verified = inside(place, "runuser -u ephemerald -- ephemerald audit verify")
            checked = inside(place, "runuser -u ephemerald -- ephemerald ledger check")
            journal = inside(place, "journalctl --no-pager -D /var/log/journal -o cat -u ephemerald")
        finally:
            subprocess.run(["umount", str(place)], check=True)
        expect("one unbroken hash chain" in verified, "an unbroken chain", verified)
        expect("0 live, 0 ending" in checked, "nothing is live", checked)
        bad = [line for line in journal.splitlines() if "panicked" in line]
        expect(not bad, "no panic", bad)
        self.seen.row("the disk after three cuts", "journal verifies, nothing live")
        broken = self.parts.left_the_contract()
        expect(not broken, "no request that leaves JumpCloud's contract", broken)

    def show_what_happened(self):
        if self.machine:
            print(self.machine.console.read_text()[-4000:])


def inside(root, script, given=""):
    command = ["chroot", str(root), "sh", "-c", script]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=env)
    expect(done.returncode == 0, f"exit 0 of {script}", done.stdout + done.stderr)
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path)
    parser.add_argument("--sandbox", type=lambda path: Path(path).resolve(), default=ground.TREE / "target/debug/ephemerald")
    parser.add_argument("--packed", action="store_true", help="take the package of the last run")
    parser.add_argument("--keep", action="store_true", help="leave the root and the disk for a look")
    arguments = parser.parse_args()
    ground.skip_unless_possible()
    ground.bare_debian()
    ground.emulator()
    ground.within_own_namespaces()
    seen = Seen("Power cuts on an emulated machine")
    story = Story(arguments, seen)
    code = seen.play(story.play, story.show_what_happened)
    if story.machine and story.machine.process.poll() is None:
        os.kill(story.machine.process.pid, signal.SIGKILL)
    if not arguments.keep:
        shutil.rmtree(ground.KEPT / "power-cut.root", ignore_errors=True)
        (ground.KEPT / "emulator/srv/power-cut.img").unlink(missing_ok=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
