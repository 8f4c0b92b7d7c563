"""A root that is booted with systemd in a container, and commands inside it."""

import os
import subprocess
from pathlib import Path

from parts import expect, wait_for

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Done:
    def __init__(self, done):
        self.code, self.out, self.said = done.returncode, done.stdout, done.stdout + done.stderr


class Container:
    def __init__(self, root, log):
        self.root, self.log, self.leader = root, log, None
        self.boot()

    def boot(self):
        """Boots, and waits for all that systemd starts."""
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=read-only"]
        # A machine of its own would not withhold these from the agent; the container's list of calls does.
        landlock = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
        command += [f"--system-call-filter={landlock}"]
        self.process = subprocess.Popen(
            [*command, "-D", str(self.root), "--boot"],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("a"),
            stderr=subprocess.STDOUT,
        )

        def up():
            expect(self.process.poll() is None, "a container that boots", self.log.read_text()[-2000:])
            pid = self.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            self.leader = next(iter(children), None)
            if not self.leader:
                return False
            state = self.run("systemctl", "is-system-running", ok=None).out.strip()
            return state in ("running", "degraded")

        wait_for("systemd is up", 60, up)

    def run(self, *command, ok=0, given=None, env=None):
        """Runs a command inside; fails when it exits otherwise (`ok=None`: any exit)."""
        inside = ["nsenter", "-t", self.leader, "-a", "env", "-i", f"PATH={PATH}", "HOME=/", "LC_ALL=C.UTF-8"]
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        done = Done(
            subprocess.run([*inside, *settings, *command], input=given or "", capture_output=True, text=True)
        )
        expect(ok is None or done.code == ok, f"exit {ok} of {' '.join(command)}", f"{done.code}\n{done.said}")
        return done

    def shell(self, script, **more):
        return self.run("sh", "-c", script, **more)

    def reboot(self):
        """As the machine's administrator orders it."""
        self.run("systemctl", "reboot", ok=None)
        wait_for("the shutdown is over", 90, lambda: self.process.poll() is not None)
        expect(self.process.returncode == 133, "a wish to be booted again (133)", self.process.returncode)
        self.boot()

    def shows(self, unit, name):
        return self.run("systemctl", "show", f"--property={name}", "--value", unit).out.strip()

    def journal(self, *which):
        return self.run("journalctl", "--no-pager", "-o", "cat", *which).out

    def apt(self, *words, ok=0, env=None):
        quiet = {"DEBIAN_FRONTEND": "noninteractive", **(env or {})}
        return self.run("apt-get", "-q", "-y", *words, ok=ok, env=quiet)

    def stop(self):
        if self.process.poll() is None and self.leader:
            os.kill(int(self.leader), 9)
            self.process.wait()
