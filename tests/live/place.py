"""One agent, as it is shipped, between the simulated JumpCloud and the reference control plane: three processes in a directory of
their own, over real TLS. Refuses to judge: whoever uses it does.
"""
import json
import os
import secrets
import ssl
import subprocess
import time
import urllib.request
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
rate_limit = 100

[log]
format = "json"

[timing]
settle = "1s"
in_flight_window = "3s"
watch = ["2s", "3s"]
raise_timeout = "10s"
"""
POLICY = """\
mode = "enforce"
max_duration = "10m"
max_grants_per_hour = 10000

[roles]
"Manager" = "10m"
"Help Desk" = "10m"
"Read Only" = "10m"
"""


class Beyond(Exception):
    """Another thing was seen than what is promised."""


def private(path, text):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def until(what, look, patience=PATIENCE):
    """Looks until it is so. Nothing is concluded from how long it took."""
    deadline = time.monotonic() + patience
    while not look():
        if time.monotonic() > deadline:
            raise Beyond(f"{what}: not within {patience} s")
        time.sleep(0.1)


class Place:
    def __init__(self, agent, sandbox, directory):
        self.program, self.parts, self.dir = Path(agent).resolve(), Path(sandbox).resolve(), Path(directory)
        self.running = {}
        self.logs = 0
        self.jumpcloud = self.listen("jumpcloud", "127.0.0.1:0", "--write-connection", "jc.json", "--write-ca", "jc.pem")
        self.control = self.listen("control-plane", "127.0.0.1:0", "--write-ca", "cp.pem", "--write-token", "token")
        private(self.path("state.key"), secrets.token_hex(32))
        private(self.path("agent.toml"), AGENT.format(dir=self.dir))
        private(self.path("policy.toml"), POLICY)
        self.agent("enroll", "--token-file", self.path("token"))

    def path(self, name):
        return self.dir / name

    def start(self, name, *command, out=None):
        self.logs += 1
        log = self.path(f"{name}-{self.logs}.log").open("w")
        command = [str(word) for word in command]
        self.running[name] = subprocess.Popen(command, cwd=self.dir, stdout=out or log, stderr=log)
        return self.running[name]

    def listen(self, name, at, *words):
        """Starts a part and returns what it says once it listens."""
        part = self.start(name, self.parts, "sandbox", name, "--listen", at, "--data-dir", name, *words, out=subprocess.PIPE)
        line = part.stdout.readline()
        if not line:
            raise Beyond(f"{name} does not listen: see {self.dir}")
        return json.loads(line)

    def kill(self, name):
        child = self.running.pop(name)
        child.kill()
        child.wait()

    def close(self):
        for name in list(self.running):
            self.kill(name)

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], cwd=self.dir, capture_output=True, text=True)
        if done.returncode != 0:
            raise Beyond(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def agent(self, *words):
        return self.run(self.program, "--config", self.path("agent.toml"), *words)

    def start_agent(self):
        return self.start("agent", self.program, "--config", self.path("agent.toml"), "run")

    def is_connected(self):
        daemon = self.running["agent"]
        if daemon.poll() is not None:
            raise Beyond(f"the daemon ended with {daemon.returncode}: see {self.dir}")
        return self.path("control.sock").exists() and "connected" in self.agent("status")

    def seen(self):
        """What the kernel says of the agent."""
        process = Path(f"/proc/{self.running['agent'].pid}")
        fields = (line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return {name: value.split()[0] for name, value in fields if value.strip()}

    def plane(self, *words):
        """A requester or an approver at the control plane."""
        return self.run(self.parts, "sandbox", *words, "--data-dir", "control-plane")

    def request(self, account, role, seconds):
        asked = ["--integration", "main", "--account", account, "--role", role, "--duration", f"{seconds}s"]
        number = self.plane("request", *asked).split()[0]
        self.plane("approve", number, "--by", "boss@example.com")
        return number

    def requests(self):
        return {one["number"]: one for one in json.loads(self.plane("requests", "--output", "json"))}

    def console(self, path, method="GET", body=None):
        """Behind JumpCloud's scenes."""
        trusted = ssl.create_default_context(cafile=str(self.path("jc.pem")))
        data = None if body is None else json.dumps(body).encode()
        head = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{self.jumpcloud['url']}/_sandbox/{path}", data, head, method=method)
        with urllib.request.urlopen(asked, context=trusted) as answer:
            return json.loads(answer.read() or "null")
