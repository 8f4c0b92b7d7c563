"""One simulated JumpCloud, one control plane and one agent, all on loopback."""
import json
import os
import shutil
import signal
import ssl
import subprocess
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import codec, tls
from control_plane.server import Server
from control_plane.service import Service
from control_plane.store import Store

from .framework import DEADLINE_S, Failed, until

OWNER = "owner@example.com"
REQUEST = {"number": "AR-1", "requester": "ada@example.com", "approvers": ["grace@example.com"],
           "justification": "ticket 4711"}
TIMING = {"settle": "1s", "in_flight_window": "3s", "watch": '["3s", "6s"]', "raise_timeout": "6s"}
POLICY = """mode = "enforce"
max_duration = "2h"
max_live_grants = 200
max_grants_per_hour = 10000
protected_accounts = ["protected@example.com"]
[roles]
"Help Desk" = "1h"
"Manager" = "2h"
"Administrator" = "2h"
"Command Runner" = "1h"
"No Such Role" = "1h"
[accounts]
deny = ["denied@example.com", "*@denied.example"]
[ephemeral]
allowed = true
domains = ["example.com"]
[require]
request_number = true
justification = true
approvers = 1
requester_not_approver = true
"""


def accounts(count: int = 40) -> list:
    people = [{"email": f"u{n:02}@example.com", "roles": ["Read Only"]} for n in range(count)]
    return [{"email": OWNER, "roles": ["Administrator With Billing"]},
            {"email": "protected@example.com", "roles": ["Read Only"]},
            {"email": "excluded@example.com", "roles": ["Read Only"]},
            {"email": "denied@example.com", "roles": ["Read Only"]},
            {"email": "someone@denied.example", "roles": ["Read Only"]},
            {"email": "suspended@example.com", "roles": ["Read Only"], "suspended": True},
            {"email": "twice@example.com", "roles": ["Help Desk", "Command Runner"]},
            {"email": "manager@example.com", "roles": ["Manager"]}, *people]


class Rig:
    def __init__(self, context, name: str, policy: str = POLICY, people: list = None,
                 control_plane: str = "", integration: str = "", timing: dict = TIMING,
                 env: dict = None):
        self.context, self.name = context, name
        self.dir = Path(context.base) / name
        self.dir.mkdir(parents=True)
        self.people, self.env = people or accounts(), {**os.environ, **(env or {})}
        self.extra, self.integration, self.timing = control_plane, integration, timing
        self.policy_text, self.counter = policy, 0
        self.sim = self.agent = self.agent_id = None
        self.root, self.job_key, self.kid = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), "jobs-1"
        self.logs, self.violations = [], []

    # --- the three parties ---------------------------------------------------------------------
    def up(self):
        """Everything is started and enrolled, and the first status has come."""
        self.start_sim()
        self.start_control_plane()
        self.write_config()
        self.enroll()
        self.run()
        return self

    def start_sim(self):
        (self.dir / "seed.json").write_text(json.dumps({"accounts": self.people}))
        connection = self.dir / "connection.json"
        self.sim = self._spawn("jumpcloud", "sandbox", "jumpcloud", "--listen", "127.0.0.1:0",
                               "--data-dir", self.dir / "jumpcloud", "--seed-file", self.dir / "seed.json",
                               "--write-ca", self.dir / "jumpcloud-ca.pem",
                               "--write-connection", connection)

        def ready():
            if self.sim.poll() is not None:
                raise Failed(f"the simulated JumpCloud ended: {self.log_of('jumpcloud')[-500:]}")
            try:
                self.jumpcloud = json.loads(connection.read_text())["url"]
                self.tls = ssl.create_default_context(cafile=self.dir / "jumpcloud-ca.pem")
                return self.console("GET", "/_sandbox/log")
            except (OSError, ValueError):
                return None
        until("the simulated JumpCloud", ready)

    def start_control_plane(self, port: int = 0):
        if not hasattr(self, "tls_context"):
            self.tls_context = tls.make(self.dir, days_back=60)
        self.server = Server(None, self.tls_context, port)
        self.origin = f"https://127.0.0.1:{self.server.port}"
        store = Store(str(self.dir / "control-plane.db"))
        self.cp = Service(store, self.context.schemas, self.origin, self.root, self.job_key, self.kid)
        self.server.service = self.cp
        self.server.start()

    def restart_control_plane(self):
        """What was not durable is gone."""
        settings, injections, new_id = self.cp.settings, self.cp.injections, self.cp.new_agent_id
        self.violations += self.cp.violations
        signer = self.cp.signer
        self.start_control_plane(self.server.port)
        self.cp.settings, self.cp.injections, self.cp.new_agent_id = settings, injections, new_id
        self.cp.signer = signer

    def stop_control_plane(self):
        self.server.stop()

    def write_config(self):
        timing = "\n".join(f"{k} = {v if v.startswith('[') else json.dumps(v)}" for k, v in self.timing.items())
        self.write_policy(self.policy_text)
        control_plane = self.extra or 'poll_max = "5s"\nreport_interval = "1s"'
        self.config = self.dir / "ephemerald.toml"
        self.config.write_text(f"""[agent]
state_dir = "{self.dir}/state"
control_socket = "{self.dir}/control.sock"
name = "{self.name}"
[control_plane]
ca_file = "{self.dir}/ca.pem"
{control_plane}
[[integration]]
name = "acme"
connection_file = "{self.dir}/connection.json"
exclude_accounts = ["excluded@example.com"]
observe_interval = "2s"
rate_limit = 1000
{self.integration}
[policy]
file = "{self.dir}/policy.toml"
[timing]
{timing}
[log]
format = "json"
level = "info"
""")

    def write_policy(self, text: str):
        (self.dir / "policy.toml").write_text(text)

    def cli(self, *args, text: str = None, expect: int = 0, env: dict = None):
        done = subprocess.run([self.context.agent, "--config", self.config, *args], input=text, text=True,
                              capture_output=True, timeout=60, env={**self.env, **(env or {})})
        if expect is not None and done.returncode != expect:
            raise Failed(f"{args[0]}: exit code {done.returncode}, not {expect}: {done.stderr[-400:]}")
        return done

    def enroll(self, token: str = None, expect: int = 0):
        done = self.cli("enroll", text=token or self.cp.new_token(), expect=expect)
        self.agent_id = self.cp.store.value("SELECT id FROM agents ORDER BY rowid DESC LIMIT 1")
        return done

    def run(self, wait: bool = True):
        before = len(self.cp.calls)
        self.agent = self._spawn("agent", "--config", self.config, "run")
        if wait:
            until("the first status", lambda: self.agent.poll() is not None or any(
                call[0] == "status" and call[3] == 200 for call in self.cp.calls[before:]))
            if self.agent.poll() is not None:
                raise Failed(f"the agent ended: {self.log_of('agent')[-600:]}")

    def end_agent(self, how=signal.SIGTERM):
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(how)
            self.agent.wait(DEADLINE_S)

    def down(self):
        self.end_agent(signal.SIGKILL)
        if self.sim and self.sim.poll() is None:
            self.sim.kill()
            self.sim.wait(DEADLINE_S)
        if hasattr(self, "server"):
            self.server.stop()
        for log in self.logs:
            log.close()

    def clean(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def _spawn(self, name: str, *args):
        log = open(self.dir / f"{name}.log", "ab")
        self.logs.append(log)
        return subprocess.Popen([self.context.agent, *map(str, args)], stdout=log, stderr=log,
                                stdin=subprocess.DEVNULL, env=self.env)

    def log_of(self, name: str) -> str:
        return (self.dir / f"{name}.log").read_text(errors="replace")

    # --- JumpCloud, as a person sees it ----------------------------------------------------------
    def console(self, method: str, path: str, body=None):
        request = urllib.request.Request(self.jumpcloud + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, context=self.tls, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def admins(self) -> dict:
        return {a["email"]: a for a in self.console("GET", "/_sandbox/state")["admins"]}

    def roles(self, email: str) -> list:
        return self.admins()[email]["roleNames"]

    def log_end(self) -> int:
        return self.console("GET", "/_sandbox/log?since=1000000000")["last"]

    def writes(self, since: int) -> list:
        """Everything after `since` that wrote or tried to."""
        entries = self.console("GET", f"/_sandbox/log?since={since}")["entries"]
        return [e for e in entries if e["event"] == "changed" or e.get("method") not in (None, "GET")]

    # --- jobs and reports ----------------------------------------------------------------------
    def id(self, kind: str) -> str:
        self.counter += 1
        return f"{kind}-{self.name}-{self.counter}"

    def grant(self, target, role: str = "Help Desk", duration_s: int = 600, **more) -> dict:
        target = {"email": target} if isinstance(target, str) else target
        return {"type": "grant", "grant_id": self.id("grant"), "target": target, "role": role,
                "duration_s": duration_s, "request": REQUEST, **more}

    def ready(self):
        """For checks that are played alone, where an earlier one would have enrolled and started."""
        if self.agent_id is None:
            self.enroll()
        if self.agent is None:
            self.run()

    def submit(self, job: dict, job_id: str = None, integration: str = "acme", **more) -> str:
        if self.agent_id is None:
            self.ready()
        job_id = job_id or self.id("job")
        self.cp.submit(self.cp.claims(self.agent_id, job_id, integration, job, **more))
        return job_id

    def results(self, job_id: str) -> list:
        return self.cp.store.reports(self.agent_id, "job_id=? AND kind='result'", job_id)

    def result(self, job_id: str, deadline_s: float = DEADLINE_S) -> dict:
        return until(f"the result of {job_id}", lambda: self.results(job_id), deadline_s)[0]

    def do(self, job: dict, code: str, rule: str = None, **more) -> dict:
        """Submits a job and checks the code (and rule) of its result."""
        found = self.result(self.submit(job, **more))
        if (found["code"], found.get("rule")) != (code, rule):
            raise Failed(f"expected {code}/{rule}, found {found}")
        return found

    def event(self, grant_id: str, code: str, deadline_s: float = DEADLINE_S, nth: int = 0) -> dict:
        return until(f"{code} of {grant_id}", lambda: self.cp.store.reports(
            self.agent_id, "grant_id=? AND code=? AND kind='event'", grant_id, code)[nth:], deadline_s)[0]

    def status_where(self, what: str, condition, deadline_s: float = DEADLINE_S) -> dict:
        def newest():
            text = self.cp.store.value("SELECT status FROM agents WHERE id=?", self.agent_id)
            return text and condition(json.loads(text)) and json.loads(text)
        return until(what, newest, deadline_s)

    def calls_of(self, call: str, since: int = 0) -> list:
        return [c for c in self.cp.calls[since:] if c[0] == call]

    def thumbprint(self) -> str:
        return codec.thumbprint(json.loads(
            self.cp.store.value("SELECT key FROM agents WHERE id=?", self.agent_id)))
