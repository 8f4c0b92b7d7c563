"""The two other sides of an agent, as servers beside the booted machine: the simulated JumpCloud and the
reference control plane, of a debug build. They go on while the machine is off, as the real ones would.
"""

import json
import socket
import ssl
import subprocess
import time
import urllib.request

JUMPCLOUD = "127.0.0.1:8443"
CONTROL_PLANE = "127.0.0.1:7443"
ROLE = "Manager"
PROXY = "127.0.0.1:3128"
UNIT = "ephemerald.service"


class Deviation(Exception):
    """Something else was seen than what is promised."""


def expect(holds, what, seen=""):
    if not holds:
        raise Deviation(f"expected: {what}\nseen: {seen}")


def wait_for(what, limit, look):
    """Looks until it is there; what `look` returns. Nothing is concluded from how long it took."""
    deadline = time.monotonic() + limit
    while True:
        found = look()
        if found:
            return found
        expect(time.monotonic() < deadline, what, f"nothing within {limit} s")
        time.sleep(0.2)


class Parts:
    """Both servers, and what a requester and an approver do."""

    def __init__(self, program, directory):
        self.program, self.dir = str(program), directory
        self.dir.mkdir(parents=True)
        jumpcloud = ["--write-ca", "jc-ca.pem", "--write-connection", "jc.json"]
        control = ["--write-ca", "cp-ca.pem", "--write-token", "agent-token"]
        self._start(["jumpcloud", "--listen", JUMPCLOUD, "--data-dir", "jc", *jumpcloud])
        self._start(["control-plane", "--listen", CONTROL_PLANE, "--data-dir", "cp", *control])
        self.key = json.loads((self.dir / "jc.json").read_text())["token"]
        self.token = (self.dir / "agent-token").read_text()

    def _start(self, args):
        log = (self.dir / f"{args[0]}.log").open("w")
        command = [self.program, "sandbox", *args]
        child = subprocess.Popen(command, cwd=self.dir, stdout=subprocess.PIPE, stderr=log)
        expect(child.stdout.readline(), "the line that a server prints when it listens", log.name)

    def _operator(self, *args):
        command = [self.program, "sandbox", args[0], "--data-dir", "cp", *args[1:]]
        done = subprocess.run(command, cwd=self.dir, capture_output=True, text=True)
        expect(done.returncode == 0, " ".join(command), done.stdout + done.stderr)
        return done.stdout

    def ask(self, account, duration):
        """Files a request and has it approved; its number."""
        asked = ["--integration", "main", "--account", account, "--role", ROLE, "--duration", duration]
        number = self._operator("request", *asked).split()[0]
        self._operator("approve", number, "--by", "boss@example.com")
        return number

    def state_of(self, number):
        for line in self._operator("requests").splitlines():
            if line.startswith(number + " "):
                return line.split()[1]
        return "unknown"

    def reported(self, since):
        """How the agent stands, if it has told so since then (milliseconds)."""
        agents = self._get(f"https://{CONTROL_PLANE}/v1/admin/agents", "cp-ca.pem")
        told = [agent["status"] for agent in agents if agent.get("status")]
        return next((status for status in told if milliseconds(status["at"]) > since), None)

    def _get(self, url, authority):
        trusted = ssl.create_default_context(cafile=str(self.dir / authority))
        with urllib.request.urlopen(url, context=trusted) as answer:
            return json.load(answer)

    def _console(self, path):
        return self._get(f"https://{JUMPCLOUD}/_sandbox/{path}", "jc-ca.pem")

    def history(self, account):
        """What JumpCloud really showed: the roles at the start, and each change of them with its time."""
        told = self._console(f"history/{account}")
        changes = [(0, tuple(told["roles_at_start"]))]
        for change in told["changes"]:
            if tuple(change["roles"]) != changes[-1][1]:
                changes.append((change["at_ms"], tuple(change["roles"])))
        return changes

    def has_role(self, account):
        return ROLE in self.history(account)[-1][1]

    def proxy(self):
        """A proxy beside the machine."""
        return Proxy(self.dir)

    def left_the_contract(self):
        return self._console("contract")["violations"]


class Proxy:
    """Debian's tinyproxy: somebody else's, with a log of its own."""

    def __init__(self, directory):
        self.log, config = directory / "proxy.log", directory / "proxy.conf"
        host, port = PROXY.split(":")
        config.write_text(f'Listen {host}\nPort {port}\nTimeout 600\nLogFile "{self.log}"\nLogLevel Info\n')
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", config], stdout=subprocess.DEVNULL)
        wait_for("the proxy listens", 20, self._listens)

    def _listens(self):
        host, port = PROXY.split(":")
        with socket.socket() as tried:
            return tried.connect_ex((host, int(port))) == 0

    def asked(self):
        """Whom it was asked to dial."""
        lines = self.log.read_text().splitlines()
        return {line.split(": CONNECT ")[1].split()[0] for line in lines if ": CONNECT " in line}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def milliseconds(timestamp):
    """Of an RFC 3339 instant of the agent's."""
    from datetime import datetime

    return int(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp() * 1000)
