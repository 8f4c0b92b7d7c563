#!/usr/bin/env python3
"""The shipped program for as long as you like, in a world that does not behave: what grows, what is left behind, what is lost.

    tests/live/soak.py --agent PROGRAM --sandbox PROGRAM [--minutes N] [--seed N] [--resident KIB]

Grants come all the time; JumpCloud fails in every way it knows; the agent is killed, told to stop and to read its files again; the
control plane goes away. In the end everything is well again, and then these must hold:
  - every request has come to a final state at the control plane: no result was lost;
  - every account shows the roles that it had at first, and no role stood longer than its grant and --late seconds;
  - no request left JumpCloud's contract, and the journal verifies;
  - at no time did the agent hold more memory, files or threads than its limits.
One account has one grant at a time, so that whatever an account showed belongs to one grant; overlaps are the business of other
tests. Figures are printed each minute. Exit 0: all held; 1: one did not, and the directory is kept.
"""
import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was committed
from place import Beyond, Place, until

# Each with roles that are more than it has.
ACCOUNTS = {f"{name}@example.com": ["Manager"] for name in ("dmitri", "elif", "farid")}
ACCOUNTS["bruno@example.com"] = ["Help Desk", "Manager"]
FINAL = ("ended", "refused", "already_granted", "withdrawn", "dry_run")
FAULTS = [
    {"kind": "too_many_requests", "retry_after": "1"},
    {"kind": "error_before", "status": 503},
    {"kind": "error_after", "status": 502},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "reset_mid_body"},
    {"kind": "truncated"},
    {"kind": "late", "after_ms": 2000},
    {"kind": "html", "status": 200},
    {"kind": "no_effect"},
]


class Soak:
    def __init__(self, place, arguments):
        self.place, self.chance, self.arguments = place, random.Random(arguments.seed), arguments
        self.asked, self.deeds, self.most = {}, Counter(), Counter()
        self.begun = time.monotonic()
        self.before = {account: self.history(account)[0][1] for account in ACCOUNTS}
        place.start_agent()
        until("status says connected", place.is_connected)

    def history(self, account):
        """What JumpCloud showed: (since when in milliseconds, the roles)."""
        told = self.place.console(f"history/{account}")
        return [(0, told["roles_at_start"])] + [(change["at_ms"], change["roles"]) for change in told["changes"]]

    def free(self):
        """Accounts whose last request is over."""
        requests = self.place.requests() if self.asked else {}
        busy = {account for number, (account, _) in self.asked.items() if requests[number]["state"] not in FINAL}
        return [account for account in ACCOUNTS if account not in busy]

    # What happens.

    def ask(self):
        free = self.free()
        if not free:
            return
        account, seconds = self.chance.choice(free), self.chance.randint(1, 12)
        self.asked[self.place.request(account, self.chance.choice(ACCOUNTS[account]), seconds)] = (account, seconds)

    def fail(self):
        some = self.chance.sample(FAULTS, self.chance.randint(1, 3))
        rules = [{"path_prefix": "/api", "count": self.chance.randint(1, 4), "probability": 0.5, "fault": one} for one in some]
        self.place.console("faults", "PUT", {"seed": self.chance.getrandbits(32), "faults": rules})

    def heal(self):
        self.place.console("faults", "PUT", {"seed": 1, "faults": []})

    def kill(self):
        self.place.kill("agent")
        self.place.start_agent()

    def stop(self):
        daemon = self.place.running["agent"]
        daemon.terminate()
        until("the agent stops when it is told to", lambda: daemon.poll() is not None)
        if daemon.returncode != 0:
            raise Beyond(f"the agent stopped with {daemon.returncode}")
        self.place.start_agent()

    def read_again(self):
        os.kill(self.place.running["agent"].pid, signal.SIGHUP)

    def absent(self):
        self.place.kill("control-plane")
        time.sleep(self.chance.uniform(0, 3))
        self.place.listen("control-plane", self.place.control["url"].removeprefix("https://"))

    def deed(self):
        rare = 10 / (self.arguments.minutes * 60 * 2)
        weights = {"ask": 0.4, "fail": 0.15, "heal": 0.1, "kill": rare, "stop": rare, "read_again": rare, "absent": 2 * rare}
        name = self.chance.choices([*weights, "nothing"], [*weights.values(), 0.3])[0]
        if name != "nothing":
            getattr(self, name)()
            self.deeds[name] += 1

    # What is seen.

    def look(self):
        if self.place.running["agent"].poll() is not None:
            raise Beyond(f"the agent ended by itself with {self.place.running['agent'].returncode}")
        status = self.place.seen()
        files = len(os.listdir(f"/proc/{self.place.running['agent'].pid}/fd"))
        now = {"resident": int(status["VmRSS"]), "files": files, "threads": int(status["Threads"])}
        self.most |= Counter(now)
        return now

    def limits(self):
        allowed = {"resident": self.arguments.resident, "files": 64, "threads": 12}
        beyond = {name: most for name, most in self.most.items() if most > allowed[name]}
        if beyond:
            raise Beyond(f"held at most {beyond}, the limits are {allowed}")

    def judge(self):
        self.heal()
        until("every request has a final state", lambda: len(self.free()) == len(ACCOUNTS), 180)
        for account in ACCOUNTS:
            until(f"{account} shows what it showed at first", lambda: self.history(account)[-1][1] == self.before[account])
            longest = max((seconds for who, seconds in self.asked.values() if who == account), default=0)
            shown = self.history(account)
            for (since, roles), (to, _) in zip(shown[1:], shown[2:]):
                if roles != self.before[account] and to - since > (longest + self.arguments.late) * 1000:
                    raise Beyond(f"{account} showed {roles} for {to - since} ms, its longest grant was {longest} s")
        broken = self.place.console("contract")["violations"]
        if broken:
            raise Beyond(f"requests that leave the contract: {broken[:3]}")
        print(self.place.agent("audit", "verify").strip())
        self.limits()

    def line(self, now):
        minutes = (time.monotonic() - self.begun) / 60
        ledger = sum(file.stat().st_size for file in self.place.path("state").glob("*.db*")) // 1024
        states = Counter(one["state"] for one in self.place.requests().values()) if self.asked else {}
        print(f"{minutes:6.1f} min  {dict(states)}  {dict(self.deeds)}  {now}  ledger {ledger} KiB", flush=True)

    def play(self):
        told = 0
        while (time.monotonic() - self.begun) / 60 < self.arguments.minutes:
            self.deed()
            now = self.look()
            if (time.monotonic() - self.begun) / 60 >= told:
                self.line(now)
                told += 1
            time.sleep(0.3)
        self.judge()
        self.line(self.look())
        print(f"at most: {dict(self.most)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=Path, required=True)
    parser.add_argument("--sandbox", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resident", type=int, default=24 * 1024, help="KiB")
    parser.add_argument("--late", type=int, default=120, help="seconds, for retries while JumpCloud fails and the agent is down")
    arguments = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="ephemerald-soak-")
    place = Place(arguments.agent, arguments.sandbox, directory)
    try:
        Soak(place, arguments).play()
    except Beyond as why:
        sys.exit(f"soak: {why}\nthe directory is kept: {directory}")
    finally:
        place.close()
    print("all held")


if __name__ == "__main__":
    main()
