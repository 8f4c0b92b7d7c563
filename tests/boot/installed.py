#!/usr/bin/env python3
"""The package in a bare Debian root that is booted with systemd: what a newcomer does, and what he might do.

    tests/boot/installed.py [--program STATIC] [--sandbox PROGRAM] [--packed] [--sabotage SCRIPT] [--keep]

--program: the shipped program; built when left out. --sandbox: a build with the sandbox (target/debug).
Needs root. Exit 0: all was as promised; 1: a deviation; 77: nothing was tested.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was committed
import contents
import ground
from container import Container
from drop_ins import DropIns
from parts import JUMPCLOUD, UNIT, Parts, expect, milliseconds, wait_for
from seen import Seen
from standstill import Standstill

STATE = "/var/lib/ephemerald"
MARK = f"{STATE}/removed-with-live-grants"
FIRST, SECOND = "0.1.0", "0.1.1"



class Story(DropIns, Standstill):
    def __init__(self, arguments, seen):
        self.seen = seen
        self.arguments = arguments
        self.machine = None

    def play(self):
        self.packed = ground.packages(self.arguments.program, [FIRST, SECOND], self.arguments.packed)
        work = ground.KEPT / "installed"
        shutil.rmtree(work, ignore_errors=True)
        self.parts = Parts(self.arguments.sandbox, work)
        self.seen.row("both packages hold the same", contents.same_in_both(self.packed[FIRST, "deb"], self.packed[FIRST, "rpm"]))
        self.root = ground.copy_of(ground.bare_debian(), "installed.root")
        for version in (FIRST, SECOND):
            shutil.copy(self.packed[version, "deb"], self.root / "srv" / f"{version}.deb")
        for name in ("jc-ca.pem", "cp-ca.pem"):
            shutil.copy(work / name, self.root / "srv" / name)

        self.seen.begun = self.seen.last = time.monotonic()
        self.machine = Container(self.root, work / "console.log")
        self.seen.row("a bare Debian boots", self.machine.run("systemctl", "--version").out.split("\n")[0])
        self.install()
        if self.arguments.sabotage:
            self.machine.shell(self.arguments.sabotage)
        self.set_up()
        self.first_grant()
        self.confined()
        self.operators()
        self.reload()
        self.authority()
        self.proxied()
        self.sealed()
        self.upgrade()
        self.hang()
        self.one_thread()
        self.reboot()
        self.removal_is_refused()
        self.removed_and_back()
        self.removed_against_advice()
        self.purge()
        broken = self.parts.left_the_contract()
        expect(not broken, "no request that leaves JumpCloud's contract", broken)

    # From nothing to a first grant, as docs/install/systemd.md says it.

    def install(self):
        machine = self.machine
        machine.apt("install", f"/srv/{FIRST}.deb")
        expect(self.installed() == f"ii {FIRST}-1", "the package is installed", self.installed())
        expect(machine.shows(UNIT, "ActiveState") == "inactive", "nothing is started unasked")
        enabled = machine.run("systemctl", "is-enabled", UNIT, ok=None).out.strip()
        expect(enabled == "disabled", "nothing is enabled unasked", enabled)
        owners = machine.shell(f"stat -c '%U %a' {STATE} /etc/ephemerald").out.split("\n")[:2]
        expect(owners == ["ephemerald 700", "root 750"], "directories with their owners and modes", owners)
        for unit in ("ephemerald", "ephemerald-revoke@all", f"ephemerald-alarm@{UNIT}"):
            verified = machine.run("systemd-analyze", "verify", "--man=no", f"{unit}.service", ok=None)
            ours = [line for line in verified.said.splitlines() if "ephemerald" in line]
            expect(verified.code == 0 and not ours, f"{unit}: a unit without complaint", verified.said)
        self.seen.row("apt install", f"version {FIRST}; nothing enabled, nothing started")

    def set_up(self):
        machine = self.machine
        given = ["--url", f"https://{JUMPCLOUD}", "--ca-file", "/srv/jc-ca.pem", "--api-key-file", "-"]
        given += ["--control-ca-file", "/srv/cp-ca.pem", "--role", "Manager=1h", "--mode", "enforce"]
        said = machine.run("ephemerald", "init", "--non-interactive", *given, given=self.parts.key).out
        # The commands that it ends with are typed as they are printed.
        commands = [line.strip() for line in said.split("Next:")[-1].splitlines() if line.startswith("     ")]
        expect(len(commands) == 4, "init names four commands", said)
        enroll, check, start, status = commands
        self.seen.row("1. ephemerald init", "files written")
        machine.shell(enroll, given=self.parts.token)
        self.seen.row(f"2. {enroll}", "enrolled")
        machine.shell(check)
        machine.shell(start)
        # Ready was said, not only "a process was started".
        for name, value in (("ActiveState", "active"), ("NotifyAccess", "main"), ("Type", "notify")):
            expect(machine.shows(UNIT, name) == value, f"{name} is {value}", machine.shows(UNIT, name))
        self.seen.row(f"3. {start}", "ready, said by the agent itself")
        self.green(check)
        expect("All is well." in machine.shell(status).out, "all is well", machine.shell(status).said)
        expect(machine.shows(UNIT, "StatusText"), "a line for systemctl status")
        self.seen.row("check", "0 failures; all is well")

    def green(self, check="runuser -u ephemerald -- ephemerald check"):
        wait_for("contact with the control plane", 30, self.connected)
        said = self.machine.shell(check).out
        expect("0 failures" in said, "a check without failures", said)

    def connected(self):
        said = self.machine.run("ephemerald", "--output", "json", "health", ok=None)
        return said.code == 0

    def first_grant(self):
        account = "dmitri@example.com"
        grant = self.granted(account, "25s")
        late = self.ended(account, grant)
        wait_for("the control plane hears of it", 30, lambda: self.parts.state_of(grant["number"]) == "ended")
        self.seen.row("a grant and its end", f"role gone {late:.1f} s after the end; the account as before")
        self.seen.row(
            "FROM THE BARE ROOT TO HERE",
            f"{self.seen.since_begin():.0f} s, of which 25 s are the grant",
        )

    # A grant's life.

    def granted(self, account, duration):
        """Asks, approves, and waits until JumpCloud shows it."""
        before = self.parts.history(account)[-1][1]
        number = self.parts.ask(account, duration)
        wait_for(f"{account} has the role", 40, lambda: self.parts.has_role(account))
        listed = wait_for("the grant in the agent's list", 20, lambda: self.held(account))
        return {"number": number, "before": before, "ends": milliseconds(listed["ends_at"])}

    def held(self, account):
        """The grant of this account that carries access, as the agent lists it."""
        said = self.machine.run("ephemerald", "--output", "json", "grants", "list", ok=None)
        if said.code != 0:
            return None
        states = ("applying", "indeterminate", "active", "revoking")
        found = [g for g in json.loads(said.out) if g["account_email"] == account and g["state"] in states]
        return found[0] if found else None

    def ended(self, account, grant, limit=60, early=False):
        """Waits until JumpCloud shows the account as before; seconds between the end and that."""
        left = max(0, grant["ends"] / 1000 - time.time())
        wait_for(
            f"{account} without the role", left + limit, lambda: not self.parts.has_role(account)
        )
        at, roles = self.parts.history(account)[-1]
        expect(roles == grant["before"], "the roles from before the grant", roles)
        expect(early or at >= grant["ends"], "no end before its time", (at, grant["ends"]))
        return (at - grant["ends"]) / 1000

    def installed(self):
        query = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "ephemerald"]
        return self.machine.run(*query, ok=None).out.strip()

    def pid(self):
        return self.machine.shows(UNIT, "MainPID")

    def exists(self, path):
        return self.machine.run("test", "-e", path, ok=None).code == 0

    # The running service.

    def confined(self):
        """What the agent takes from itself is in force under the unit's own restrictions, too."""
        log = self.machine.run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT).out
        told = [json.loads(line) for line in log.splitlines() if '"hardening: ' in line]
        expect(told and told[-1]["msg"] == "hardening: in force", "hardening in force", told)
        for name in ("seccomp", "landlock"):
            expect(told[-1][name].startswith("enforced"), f"{name} in force", told[-1])
        said = self.machine.run("systemd-analyze", "security", "--no-pager", UNIT, ok=None).out
        # "→ Overall exposure level for ephemerald.service: 1.2 OK :-)"
        found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
        expect(found and float(found[1]) <= 1.2, "an exposure of at most 1.2", said[-200:])
        score = found[1]
        policy = [line for line in log.splitlines() if "policy: " in line and '"error"' in line]
        expect(not policy, "nothing to complain of about the policy's owner", policy)
        self.seen.row("confined", f"seccomp {told[-1]['seccomp']}; landlock {told[-1]['landlock']}; exposure {score}")

    def reload(self):
        machine, policy = self.machine, "/etc/ephemerald/policy.toml"
        before = self.pid()
        machine.shell(f"cp {policy} /srv/policy.toml; echo 'mode = 7' > {policy}")
        machine.run("systemctl", "reload", UNIT)
        wait_for("a bad policy is refused aloud", 20, lambda: '"policy: ' in machine.journal("-u", UNIT))
        machine.shell(f"sed 's/1h/30m/' /srv/policy.toml > {policy}")
        machine.run("systemctl", "reload", UNIT)
        wait_for("a good one is taken", 20, lambda: "policy: changed" in machine.journal("-u", UNIT))
        machine.shell(f"chown ephemerald {policy}; systemctl reload ephemerald")
        complaint = f"{policy} belongs to the agent's own user; run: chown root {policy}"
        wait_for("a policy of the agent's own is told", 20, lambda: complaint in machine.journal("-u", UNIT))
        machine.shell(f"chown root {policy}; systemctl reload ephemerald")
        expect(machine.shows(UNIT, "ActiveState") == "active" and self.pid() == before, "the same process")
        self.seen.row("systemctl reload", "bad policy refused, good one taken, same process")

    def upgrade(self):
        account = "amara@example.com"
        grant, before = self.granted(account, "45s"), self.pid()
        self.machine.apt("install", f"/srv/{SECOND}.deb")
        expect(self.installed() == f"ii {SECOND}-1", "the second version is installed", self.installed())
        expect(self.pid() not in (before, "0"), "a new process", self.pid())
        expect(self.machine.shows(UNIT, "ActiveState") == "active", "ready once apt is done")
        expect(self.held(account), "the grant lives on", grant)
        expect(self.parts.has_role(account), "the access is still there")
        late = self.ended(account, grant)
        self.seen.row("apt upgrade with a live grant", f"taken over; role gone {late:.1f} s after the end")

    def reboot(self):
        account = "farid@example.com"
        grant = self.granted(account, "40s")
        self.machine.reboot()
        expect(self.machine.shows(UNIT, "ActiveState") == "active", "it is back by itself")
        late = self.ended(account, grant)
        self.seen.row("reboot with a live grant", f"role gone {late:.1f} s after the end")

    # Taking it away.

    def removal_is_refused(self):
        account = "bruno@example.com"
        grant, before = self.granted(account, "10m"), self.pid()
        for word in ("remove", "purge"):
            said = self.machine.apt(word, "ephemerald", ok=100).said
            expect("NOT REMOVED: 1 grants" in said, f"{word} says why not", said)
        expect(self.installed() == f"ii {SECOND}-1", "still installed", self.installed())
        expect(self.pid() == before, "still the same process", self.pid())
        self.seen.row("apt remove, purge with a live grant", "refused; the agent runs on")
        self.machine.run("ephemerald", "drain", "--reason", "moving away")
        self.ended(account, grant, limit=10, early=True)
        self.seen.row("ephemerald drain", "proven gone")

    def removed_and_back(self):
        machine = self.machine
        machine.apt("remove", "ephemerald")
        expect(self.installed() == f"rc {SECOND}-1", "removed, not purged", self.installed())
        expect(not self.exists("/usr/bin/ephemerald"), "no program left")
        for path in (f"{STATE}/ledger.db", "/etc/ephemerald/ephemerald.toml"):
            expect(self.exists(path), f"{path} is kept")
        machine.apt("install", f"/srv/{SECOND}.deb")
        expect(machine.shows(UNIT, "ActiveState") == "inactive", "installed again: not started unasked")
        machine.run("systemctl", "enable", "--now", UNIT)
        machine.run("ephemerald", "thaw", "--reason", "back again")
        wait_for("ready", 30, self.connected)
        machine.run("ephemerald", "audit", "verify")
        self.seen.row("apt remove, install", "configuration, keys and journal kept; same agent")

    def removed_against_advice(self):
        account = "chiara@example.com"
        grant = self.granted(account, "60s")
        said = self.machine.apt("remove", "ephemerald", env={"EPHEMERALD_REMOVE_LIVE": "yes"}).said
        expect("REMOVED WITH 1 GRANTS" in said, "it says what that means", said)
        said = self.machine.apt("purge", "ephemerald", ok=100).said
        expect("NOT PURGED" in said, "a purge is refused then", said)
        expect(self.exists(f"{STATE}/ledger.db") and self.exists(MARK), "the state is kept")
        expect(self.parts.has_role(account), "nobody ended the access meanwhile")
        self.machine.apt("install", f"/srv/{SECOND}.deb")
        expect(self.machine.shows(UNIT, "ActiveState") == "active", "installed again: started at once")
        expect(not self.exists(MARK), "the mark is gone")
        late = self.ended(account, grant)
        self.seen.row("removed against advice", f"purge refused; put back, role gone {late:.1f} s after the end")

    def purge(self):
        machine = self.machine
        machine.run("ephemerald", "drain", "--reason", "for good")
        machine.apt("purge", "ephemerald")
        for path in (STATE, "/etc/ephemerald"):
            expect(not self.exists(path), f"{path} is gone")
        kept = machine.shell("cd /var/backups/ephemerald && find . -type f | sort").out.split()
        names = {Path(path).name for path in kept}
        expect("ledger.db" in names, "the journal is kept", kept)
        keys = names & {"agent.key", "tag.key", "identity.json"}
        expect(not keys, "no key is kept", keys)
        state = next(self.root.glob("var/backups/ephemerald/ledger-*"))
        verified = subprocess.run(
            [ground.TREE / "target/packages/stage/ephemerald", "--state-dir", state, "audit", "verify"],
            capture_output=True,
            text=True,
        )
        expect(verified.returncode == 0, "the kept journal verifies", verified.stdout + verified.stderr)
        self.seen.row("drain, apt purge", "nothing left but the journal, which verifies")

    def show_what_happened(self):
        if self.machine:
            print(self.machine.run("journalctl", "--no-pager", "-n", "60", ok=None).said[-9000:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path)
    parser.add_argument("--sandbox", type=lambda path: Path(path).resolve(), default=ground.TREE / "target/debug/ephemerald")
    parser.add_argument("--packed", action="store_true", help="take the packages of the last run")
    parser.add_argument("--sabotage", help="run this inside after the installation, to see the story fail")
    parser.add_argument("--keep", action="store_true", help="leave the root for a look")
    arguments = parser.parse_args()
    ground.skip_unless_possible()
    ground.bare_debian()
    ground.within_own_namespaces()
    seen = Seen("The package in a bare Debian that is booted with systemd")
    story = Story(arguments, seen)
    code = seen.play(story.play, story.show_what_happened)
    if story.machine:
        story.machine.stop()
    if not arguments.keep:
        shutil.rmtree(ground.KEPT / "installed.root", ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
