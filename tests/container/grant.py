#!/usr/bin/env python3
"""One grant from its request to its end, played by the image as an operator would run it, within its memory limit.

    grant.py IMAGE SANDBOX [MEMORY]      SANDBOX: a program with the sandbox (target/debug/ephemerald); MEMORY: 32m

Started by run.sh, in a network namespace of its own, which it shares with the container: nothing there reaches any
network, and no port is somebody else's. The commands are those of docs/install/container.md, with podman. What differs:
the network, the waits of JumpCloud, which a sandbox does not need, and how podman spells a tmpfs that has an owner.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was committed
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "boot"))
from parts import CONTROL_PLANE, JUMPCLOUD, Deviation, Parts, expect, milliseconds, wait_for

NAME = "ephemerald-container-grant"
ACCOUNT = "dmitri@example.com"
WAITS = '[timing]\nsettle = "1s"\nin_flight_window = "3s"\nwatch = ["3s", "6s"]\n'


def say(text):
    print(f"container: {text}", flush=True)


class Done:
    def __init__(self, done):
        self.code, self.out, self.said = done.returncode, done.stdout, done.stdout + done.stderr


def podman(*words, ok=0, given=""):
    """Fails when it exits otherwise (`ok=None`: any exit)."""
    done = Done(subprocess.run(["podman", *words], input=given, capture_output=True, text=True))
    expect(ok is None or done.code == ok, f"exit {ok} of podman {' '.join(words)}", f"{done.code}\n{done.said}")
    return done


def inside(*words, user=None, ok=0):
    """A command by its name alone, as the page has it: `docker exec ephemerald ephemerald check`."""
    as_user = ["--user", user] if user else []
    return podman("exec", *as_user, NAME, "ephemerald", *words, ok=ok)


def inspected(what):
    return podman("inspect", "--format", f"{{{{{what}}}}}", NAME).out.strip()


def healthy():
    """The image's own HEALTHCHECK, as the engine would run it."""
    return podman("healthcheck", "run", NAME, ok=None).code == 0


class Memory:
    """The control group of the container, of either version; it is there as long as the container runs."""

    def __init__(self):
        lines = Path(f"/proc/{inspected('.State.Pid')}/cgroup").read_text().splitlines()
        groups = {kinds: path for _, kinds, path in (line.split(":", 2) for line in lines)}
        old = "memory" in groups
        self.folder = Path(f"/sys/fs/cgroup/memory{groups['memory']}" if old else f"/sys/fs/cgroup{groups['']}")
        self.names = ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if old else ("memory.max", "memory.peak")

    def limit(self):
        return (self.folder / self.names[0]).read_text().strip()

    def peak(self):
        file = self.folder / self.names[1]
        return int(file.read_text()) if file.exists() else None


class Story:
    def __init__(self, image, program, memory, work):
        self.image, self.program, self.etc = image, program, work / "etc"
        self.parts = Parts(program, work / "parts")
        self.memory = memory
        self.hardened = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=host"]
        self.hardened += ["--health-interval=disable"]
        self.hardened += ["-v", f"{NAME}:/var/lib/ephemerald", "-v", f"{self.etc}:/etc/ephemerald:ro"]

    def play(self):
        self.set_up()
        self.run()
        self.grant()
        self.taken_over()
        self.orders()
        self.end()

    def set_up(self):
        at = self.parts.dir
        command = [self.program, "init", "--non-interactive", "--layout", "container", "--config-dir", str(self.etc)]
        command += ["--url", f"https://{JUMPCLOUD}", "--ca-file", str(at / "jc-ca.pem"), "--api-key-file", "-"]
        command += ["--control-ca-file", str(at / "cp-ca.pem"), "--role", "Manager=1h", "--mode", "enforce"]
        done = Done(subprocess.run(command, input=self.parts.key, capture_output=True, text=True))
        expect(done.code == 0, "init writes the files", done.said)
        secret = (self.etc / "main.json").stat()
        owned = (secret.st_uid, secret.st_gid, secret.st_mode & 0o077)
        expect(owned == (65532, 65532, 0), "the connection is the container's user's alone", owned)
        (self.etc / "conf.d").mkdir()
        (self.etc / "conf.d/sandbox.toml").write_text(WAITS)
        said = podman("run", "--rm", "-i", *self.hardened, self.image, "enroll", given=self.parts.token).out
        expect(said.startswith("Enrolled as "), "enrolled", said)
        say("enrolled from inside of the container, on a new volume")

    def run(self):
        limits = ["--memory", self.memory, "--memory-swap", self.memory, "--pids-limit", "32"]
        limits += ["--mount", "type=tmpfs,destination=/run/ephemerald,tmpfs-mode=0750,chown=true"]
        podman("run", "-d", "--name", NAME, *limits, *self.hardened, self.image)
        wait_for("the image's own HEALTHCHECK exits 0", 60, healthy)
        asked = int(self.memory.removesuffix("m")) * 1024 * 1024
        expect(Memory().limit() == str(asked), f"a limit of {asked} bytes that is in force", Memory().limit())
        said = inside("check").out
        expect("0 failures" in said, "a check without failures", said)
        say(f"ready: the image's own HEALTHCHECK exits 0; check: {said.strip().splitlines()[-1]}")

    def raised(self, duration):
        before = self.parts.history(ACCOUNT)[-1][1]
        number = self.parts.ask(ACCOUNT, duration)
        wait_for("the account has the role", 40, lambda: self.parts.has_role(ACCOUNT))
        active = lambda: [grant for grant in self.grants() if grant["state"] == "active"]
        return number, before, wait_for("the grant in the agent's list", 20, active)[0]

    def grants(self):
        return json.loads(inside("--output", "json", "grants", "list").out)

    def ended(self, number, before, limit):
        wait_for("the account is without the role", limit, lambda: not self.parts.has_role(ACCOUNT))
        at, roles = self.parts.history(ACCOUNT)[-1]
        expect(roles == before, "the roles from before the grant", roles)
        wait_for("the control plane hears of it", 30, lambda: self.parts.state_of(number) == "ended")
        return at

    def grant(self):
        number, before, grant = self.raised("10s")
        expect(healthy(), "ready while access is live")
        ends = milliseconds(grant["ends_at"])
        at = self.ended(number, before, 60)
        expect(at >= ends, "no end before its time", (at, ends))
        self.alive("a grant from its request to its end")
        say(f"a grant and its end, {(at - ends) / 1000:.1f} s after its time; memory {self.seen_memory()}")

    def seen_memory(self):
        peak = Memory().peak()
        resident = Path(f"/proc/{inspected('.State.Pid')}/status").read_text().split("VmRSS:")[1].split()[0]
        charged = f"{peak // 1024} KiB" if peak else "unknown"
        return f"{resident} KiB resident; charged at most {charged} of {self.memory}"

    def alive(self, after):
        state = inspected(".State.Status"), inspected(".State.OOMKilled"), inspected(".RestartCount")
        expect(state == ("running", "false", "0"), f"the same process after {after}", state)

    def taken_over(self):
        """A stop takes nothing away, and the next start has the grant."""
        number, before, grant = self.raised("30m")
        podman("stop", "-t", "30", NAME)
        expect(inspected(".State.ExitCode") == "0", "SIGTERM ends it well", inspected(".State.ExitCode"))
        expect(self.parts.has_role(ACCOUNT), "the access is left by a stop")
        podman("start", NAME)
        wait_for("ready again", 60, healthy)
        held = [again["grant_id"] for again in self.grants() if again["state"] == "active"]
        expect(held == [grant["grant_id"]], "the live grant after a start", held)
        inside("revoke", "--all", "--reason", "the end of the story")
        self.ended(number, before, 30)
        say("a grant that outlives a stop and a start, and is revoked")

    def orders(self):
        inside("freeze", "--reason", "incident 4711")
        inside("thaw", "--reason", "over", ok=4)
        inside("thaw", "--reason", "over", user="0:65532")
        say("freeze by the daemon's user, thaw by root in its group alone")

    def end(self):
        self.alive("all of it")
        broken = self.parts.left_the_contract()
        expect(not broken, "no request that leaves JumpCloud's contract", broken)
        for line in podman("logs", NAME).said.splitlines():
            json.loads(line)
        say(f"in all: memory {self.seen_memory()}")


def stop_servers():
    """What this script has started and is still there: the servers of the parts."""
    me = os.getpid()
    for child in Path(f"/proc/{me}/task/{me}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


def main():
    image, program, memory = [*sys.argv[1:], "32m"][:3]
    with tempfile.TemporaryDirectory() as work:
        try:
            Story(image, str(Path(program).resolve()), memory, Path(work)).play()
        except Deviation as problem:
            print(podman("logs", "--tail", "20", NAME, ok=None).said)
            sys.exit(f"container: FAILED: {problem}")
        finally:
            podman("rm", "-f", NAME, ok=None)
            podman("volume", "rm", "-f", NAME, ok=None)
            stop_servers()


main()
