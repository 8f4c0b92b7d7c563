#!/usr/bin/env python3
"""What the shipped program needs of memory, held to its limit: with a state key, seccomp and Landlock in force.

    tests/budget.py --agent PROGRAM --sandbox PROGRAM [--limit KIB]

--agent: the program as it is shipped (`--profile dist`). --sandbox: one with the sandbox (target/debug). The agent is enrolled,
has taken its first poll and has played a grant from request to end; then the memory that it holds is read. It is no measure of
time: a busy machine changes nothing. Exit 0: within the limit; 1: beyond it, or something else was seen than promised.
"""
import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 60

AGENT = """\
[agent]
state_dir = "{dir}/state"
control_socket = "{dir}/control.sock"
state_key_file = "{dir}/state.key"

[control_plane]
ca_file = "{dir}/cp.pem"

[policy]
file = "{dir}/policy.toml"

[[integration]]
name = "main"
connection_file = "{dir}/jc.json"

[timing]
settle = "1s"
"""
POLICY = """\
mode = "enforce"
max_duration = "10m"

[roles]
"Manager" = "10m"
"""


class Beyond(Exception):
    """Another thing was seen than what is promised."""


class Place:
    def __init__(self, arguments, directory):
        self.arguments, self.dir, self.children = arguments, directory, []

    def path(self, name):
        return self.dir / name

    def start(self, *command, listens=False):
        log = self.path(f"{len(self.children)}.log").open("w")
        out = subprocess.PIPE if listens else log
        child = subprocess.Popen([str(word) for word in command], cwd=self.dir, stdout=out, stderr=log)
        self.children.append(child)
        if listens and not child.stdout.readline():
            raise Beyond(f"{command}: no line that it listens, see {log.name}: {Path(log.name).read_text()}")
        return child

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], cwd=self.dir, capture_output=True, text=True)
        if done.returncode != 0:
            raise Beyond(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def sandbox(self, *words):
        return self.run(self.arguments.sandbox, "sandbox", *words)

    def agent(self, *words):
        return self.run(self.arguments.agent, "--config", self.path("agent.toml"), *words)

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()


def private(path, text):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def until(what, look):
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > deadline:
            raise Beyond(f"{what}: not within {PATIENCE} s")
        time.sleep(0.1)


def seen(process):
    fields = (line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return {name: value.split()[0] for name, value in fields if value.strip()}


def play(place):
    jumpcloud = ["jumpcloud", "--listen", "127.0.0.1:0", "--data-dir", "jc", "--write-connection", "jc.json"]
    control = ["control-plane", "--listen", "127.0.0.1:0", "--data-dir", "cp"]
    control += ["--write-ca", "cp.pem", "--write-token", "token"]
    for part in (jumpcloud, control):
        place.start(place.arguments.sandbox, "sandbox", *part, listens=True)
    private(place.path("state.key"), secrets.token_hex(32))
    private(place.path("agent.toml"), AGENT.format(dir=place.dir))
    private(place.path("policy.toml"), POLICY)
    place.agent("enroll", "--token-file", place.path("token"))
    daemon = place.start(place.arguments.agent, "--config", place.path("agent.toml"), "run")

    def state_of(number):
        rows = (line.split() for line in place.sandbox("requests", "--data-dir", "cp").splitlines())
        return next((row[1] for row in rows if row and row[0] == number), "unknown")

    def connected():
        if daemon.poll() is not None:
            raise Beyond(f"the daemon ended with {daemon.returncode}: {place.path('2.log').read_text()}")
        return place.path("control.sock").exists() and "connected" in place.agent("status")

    until("status says connected", connected)
    ask = ["--integration", "main", "--account", "dmitri@example.com", "--role", "Manager", "--duration", "2s"]
    number = place.sandbox("request", "--data-dir", "cp", *ask).split()[0]
    place.sandbox("approve", number, "--data-dir", "cp", "--by", "boss@example.com")
    until("the grant has ended", lambda: state_of(number) == "ended")
    return seen(daemon)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=Path, required=True)
    parser.add_argument("--sandbox", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=16 * 1024, help="KiB of resident memory")
    arguments = parser.parse_args()
    arguments.agent, arguments.sandbox = arguments.agent.resolve(), arguments.sandbox.resolve()
    with tempfile.TemporaryDirectory() as directory:
        place = Place(arguments, Path(directory))
        try:
            status = play(place)
        finally:
            place.close()
    resident, filtered = int(status["VmRSS"]), status["Seccomp"]
    print(f"resident {resident} kB of {arguments.limit}, {status['Threads']} threads, seccomp {filtered}")
    if filtered != "2":
        raise Beyond("no seccomp filter is in force: this is not what is shipped")
    if resident > arguments.limit:
        raise Beyond(f"{resident} kB resident, the limit is {arguments.limit} kB")


if __name__ == "__main__":
    try:
        main()
    except Beyond as why:
        sys.exit(f"budget: {why}")
