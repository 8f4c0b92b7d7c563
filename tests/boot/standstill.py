"""The installed daemon stands still while access is live: all of it, or the thread that ends grants alone."""

import ctypes
import json
import os
import signal
import time
from pathlib import Path

from parts import UNIT, expect, wait_for

# The shipped examples for the alarm, with programs that only tell what they were given.
ALARM_BESIDE = """set -e
    dir=/etc/systemd/system/ephemerald-alarm@.service.d
    mkdir -p $dir
    cp /usr/share/doc/ephemerald/examples/drop-ins/alarm-*.conf $dir/
    echo 'url = "https://chat.example.com/hook"' > /etc/ephemerald/credentials/webhook
    printf '#!/bin/sh\nfor word; do echo "$word"; done | systemd-cat -t curl\n' > /usr/local/bin/curl
    printf '#!/bin/sh\nexec systemd-cat -t sendmail\n' > /usr/local/bin/sendmail
    chmod 755 /usr/local/bin/curl /usr/local/bin/sendmail
    systemctl daemon-reload"""

# linux/ptrace.h, sys/wait.h
SEIZE, INTERRUPT, ANY_THREAD = 0x4206, 0x4207, 0x40000000


class Standstill:
    def hang(self):
        """A process that stands still is what a loop that hangs looks like from outside."""
        account = "elif@example.com"
        self.machine.shell(ALARM_BESIDE)
        grant = self.granted(account, "25s")
        self.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
        stopped = time.time()
        late = self.ended(account, grant, limit=150)
        back = self.parts.history(account)[-1][0] / 1000 - stopped
        told = self.machine.run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT).out
        expect("Watchdog timeout" in told, "systemd says why it restarted", told[-3000:])
        alarm = wait_for("the alarm", 20, self.alarms)
        expect(alarm[0]["PRIORITY"] == "2", "an alarm of priority crit", alarm)
        self.heard_beside()
        expect(late > 0, "the loop really stood still over the end", late)
        self.seen.row(
            "standing still over an end",
            f"restarted by the watchdog, gone {back:.0f} s after the stop ({late:.0f} s late); crit alarm",
        )

    def alarms(self):
        said = self.machine.run("journalctl", "--no-pager", "-o", "json", "-t", "ephemerald-alarm").out
        return [json.loads(line) for line in said.splitlines()]

    def heard_beside(self):
        """The examples for mail and webhook say what they should; stand-ins show what they were given."""
        said = wait_for("curl is called", 20, lambda: self.machine.journal("-t", "curl"))
        data = next(line for line in said.splitlines() if line.startswith("{"))
        expect(UNIT in json.loads(data)["text"], "the unit's name in the webhook's JSON", said)
        said = wait_for("sendmail is called", 20, lambda: self.machine.journal("-t", "sendmail"))
        expect(f"{UNIT} failed" in said and "To: " in said, "a mail with its head", said)

    def one_thread(self):
        """The thread that ends grants is held, and the others take signals: the process lives and feeds nothing."""
        account = "dmitri@example.com"
        restarts = self.machine.shows(UNIT, "NRestarts")
        grant = self.granted(account, "25s")
        process = self.outside(self.pid())
        threads = hold(process)
        held = time.time()
        taken = 0

        def killed():
            # Its end is ours to hear first, as of whatever we trace.
            gone, status = os.waitpid(process, os.WNOHANG | ANY_THREAD)
            if gone:
                return os.waitstatus_to_exitcode(status)
            nonlocal taken
            os.kill(process, signal.SIGHUP)
            wait_for("another thread takes the signal", 10, lambda: pending(process) in (0, None))
            taken += 1
            return None

        ended = wait_for("the watchdog ends it", 150, killed)
        expect(ended == -signal.SIGABRT, "an end by the watchdog's signal", ended)
        expect(time.time() > grant["ends"] / 1000, "the loop was held over the end", time.time() - held)
        expect(taken > 10, "a process that lived meanwhile", taken)
        late = self.ended(account, grant)
        expect(self.machine.shows(UNIT, "NRestarts") != restarts, "a restart by systemd", restarts)
        self.seen.row(
            "the loop alone held over an end",
            f"{threads} threads, the others took {taken} signals; restarted by the watchdog, {late:.0f} s late",
        )

    def outside(self, pid):
        """The process with this number inside, by its number here."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                told = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:
                continue  # it has ended meanwhile
            if told["Name"].strip() == "ephemerald" and told["NSpid"].split()[-1] == pid:
                return int(status.parent.name)
        raise AssertionError(f"no process {pid}")


def hold(process):
    """Stops the first thread, which is the loop's; how many there are."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    for what in (SEIZE, INTERRUPT):
        done = libc.ptrace(what, process, None, None)
        expect(done == 0, "a thread that may be held", os.strerror(ctypes.get_errno()))
    os.waitpid(process, ANY_THREAD)
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def pending(process):
    """Signals to the process that no thread has taken; None: it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
