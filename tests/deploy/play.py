"""The rendered pods at work: enrolment, start, probes, a grant, a stop, a start without token or control plane.

    play.py HELM PROGRAM

The servers are the sandbox's, on loopback. What a cluster would do beside is in kubelet.py.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

import kubelet
from promises import of_kind, template_of

ROOT = pathlib.Path(__file__).parents[2]
EPHEMERALD = "/usr/bin/ephemerald"
POLICY = 'mode = "{mode}"\n[roles]\n"Manager" = "1h"\n'
failures, passed = [], 0
with socket.create_server(("127.0.0.1", 0)) as free:
    METRICS_PORT = free.getsockname()[1]


def expect(name, good, said=""):
    global passed
    print(f"{'ok  ' if good else 'FAIL'} play: {name}", *([] if good else [said]), sep="\n     " if not good else "", flush=True)
    if good:
        passed += 1
    else:
        failures.append(name)


def until(ask, seconds=60):
    """The answer as soon as it is one; the last one when time is over."""
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


class Server:
    def __init__(self, program, folder, what, *args):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / f"{what}.log"
        command = [program, "sandbox", what, "--data-dir", self.folder / what, *args]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*map(str, command)], stdout=out, stderr=out)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def values(url, mode="dry_run"):
    said = yaml.safe_load((ROOT / "tests/deploy/values/minimal.yaml").read_text())
    said |= {
        "policy": POLICY.format(mode=mode),
        "ca": {"configMapName": "sandbox-ca"},
        # The waits of the real JumpCloud are longer than a test; the sandbox shows a write at once.
        "config": {
            "control_plane": {"url": url},
            "integration": [{"name": "main", "observe_interval": "1s"}],
            "timing": {"settle": "1s", "in_flight_window": "3s", "watch": ["3s", "6s"]},
        },
        "metrics": {"enabled": True, "address": "127.0.0.1", "port": METRICS_PORT},
    }
    return said


def render(helm, said):
    command = [helm, "template", "ephemerald", ROOT / "deploy/helm/ephemerald", "--namespace", "ephemerald", "--values", "-"]
    answer = subprocess.run([*map(str, command)], input=yaml.safe_dump(said), capture_output=True, text=True, check=True)
    return [thing for thing in yaml.safe_load_all(answer.stdout) if thing]


def pod(node, objects, kind):
    workload = of_kind(objects, kind)[0]
    claims = [claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates") or []]
    return kubelet.Pod(node, template_of(workload)[1], claims)


def once(node, objects, kind):
    """A pod that ends: the exit code of its container, and what it said."""
    made = pod(node, objects, kind)
    container = made.start(made.spec["containers"][0])
    return container.wait(), container.log


def preflight(node, helm, url, objects):
    code, said = once(node, objects, "Job")
    expect("the preflight Job takes good files", code == 0, said)
    bad = values(url)
    bad["policy"] = 'mode = "anything"\n'
    node.apply(render(helm, bad))
    code, said = once(node, objects, "Job")
    expect("the preflight Job refuses a bad policy", code == 3 and "mode" in said, said)
    misspelt = values(url)
    misspelt["config"]["control_plane"]["pol_max"] = "1s"
    node.apply(render(helm, misspelt))
    code, said = once(node, objects, "Job")
    expect("the preflight Job refuses a misspelt key and names it", code == 3 and "pol_max" in said, said)
    node.apply(objects)


def every_value_set(node, helm):
    """What the chart renders for each of them is what the program reads: an unknown key would be refused."""
    for file in sorted((ROOT / "tests/deploy/values").glob("*.yaml")):
        said = yaml.safe_load(file.read_text()) | {"preflight": {"enabled": True}}
        objects = render(helm, said)
        node.apply(objects)
        code, answer = once(node, objects, "Job")
        expect(f"the program reads what {file.name} says", code == 0, answer)


def begin(node, objects, stack):
    """The agent's pod: the exit code and words of the enrolment, and the daemon if that let it."""
    made = pod(node, objects, "StatefulSet")
    enroll = made.start(made.spec["initContainers"][0])
    code, said = enroll.wait(), enroll.log
    if code:
        return made, code, said, None
    daemon = made.start(made.spec["containers"][0])
    stack.callback(daemon.kill)
    return made, code, said, daemon


def probe(daemon, name):
    return daemon.run(daemon.said[name]["exec"]["command"])


def another_key(node, made, daemon):
    """The kubelet's swap of a Secret: the daemon reads it at once, and takes no key that JumpCloud does not."""
    secret = node.secrets["ephemerald-connection"]
    good = secret["connection.json"]
    secret["connection.json"] = json.dumps(json.loads(good) | {"token": "jca_no_key_of_this_organization"})
    made.update("credentials")
    told = until(lambda: "the newest key is not taken" in daemon.log)
    expect("a new key in the Secret reaches the running daemon", told, daemon.log[-2000:])
    secret["connection.json"] = good
    made.update("credentials")


def first_life(node, helm, url, plane, objects, stack):
    made, code, said, daemon = begin(node, objects, stack)
    expect("the init container enrols", code == 0 and said.startswith("Enrolled as "), said)
    if daemon is None:
        return
    live = until(lambda: daemon.process.poll() is None and probe(daemon, "startupProbe")[0] == 0)
    expect("the startup probe succeeds", live, daemon.log)
    expect("the liveness probe succeeds", probe(daemon, "livenessProbe")[0] == 0, daemon.log)
    code, said = daemon.run([EPHEMERALD, "check"])
    expect("kubectl exec … check: no failure, no warning but the dry run", code == 0 and " 1 warnings, 0 failures" in said, said)
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (node.folder / "claims/state/state").iterdir() if p.is_file()}
    private = {"identity.json", "agent.key", "ledger.db"} <= set(modes) and set(modes.values()) == {"0o600"}
    expect("the files on the claim are private", private, modes)
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=10) as answer:
        scraped = answer.read().decode()
    expect("metrics are served where the chart says", "ephemerald_build_info" in scraped, scraped)
    # The kubelet's swap of a ConfigMap; nobody restarts anything.
    node.apply(render(helm, values(url, "enforce")))
    made.update("config")
    expect("a new policy reaches the running daemon", until(lambda: "policy: changed" in daemon.log), daemon.log[-2000:])
    ready = until(lambda: probe(daemon, "readinessProbe")[0] == 0)
    expect("the readiness probe succeeds once something may be granted", ready, probe(daemon, "readinessProbe")[1])
    another_key(node, made, daemon)
    grant_and_revoke(plane, daemon)
    freeze_and_thaw(daemon)
    expect("SIGTERM ends it well within the grace period", daemon.stop() == 0, daemon.log[-2000:])


def freeze_and_thaw(daemon):
    """What is for root is for root of the node, with the pod's own program and files, as docs/install/kubernetes.md has it."""
    code, said = daemon.run([EPHEMERALD, "freeze", "--reason", "incident 4711"])
    expect("kubectl exec … freeze", code == 0, said)
    code, said = daemon.run([EPHEMERALD, "thaw"])
    expect("nobody in the pod may thaw", code == 4, said)
    pod = f"/proc/{daemon.pid}/root"
    command = [f"{pod}{EPHEMERALD}", "--config", f"{pod}/etc/ephemerald/ephemerald.toml"]
    command += ["--control-socket", f"{pod}/run/ephemerald/control.sock", "thaw", "--reason", "over"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    expect("root of the node may", answer.returncode == 0, answer.stdout + answer.stderr)


def grant_and_revoke(plane, daemon):
    def ask(*args):
        command = [plane.process.args[0], "sandbox", *args, "--data-dir", plane.folder / "control-plane"]
        return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)

    asked = ask("request", "--integration", "main", "--account", "dmitri@example.com", "--role", "Manager", "--duration", "30m")
    number = re.search(r"AR-\d+", asked.stdout)
    if number is None:
        return expect("a grant is asked for", False, asked.stdout + asked.stderr)
    ask("approve", number[0], "--by", "boss@example.com")
    grants = [EPHEMERALD, "grants", "--output", "json"]
    active = until(lambda: '"active"' in daemon.run(grants)[1], 40)
    expect("a grant is given", active, daemon.run(grants)[1] + daemon.log[-2000:])
    code, said = daemon.run([EPHEMERALD, "revoke", "--all", "--reason", "the end of the story"])
    expect("kubectl exec … revoke --all proves it gone", code == 0, said)


def second_life(node, plane, objects, stack):
    """After the token was deleted, with the control plane away."""
    del node.secrets["ephemerald-agent-token"]
    plane.stop()
    try:
        _, code, said, daemon = begin(node, objects, stack)
    except LookupError as error:
        return expect("the pod needs nothing that was deleted", False, error)
    expect("the init container needs neither token nor network once enrolled", code == 0 and said.startswith("Enrolled already"), said)
    if daemon is None:
        return
    expect("it starts without a control plane", until(lambda: probe(daemon, "startupProbe")[0] == 0), daemon.log)
    # What it knows of the control plane is settled when it has tried.
    code, said = until(lambda: (answer := probe(daemon, "readinessProbe"))[0] == 5 and answer) or probe(daemon, "readinessProbe")
    expect("it is not ready, and says why", code == 5 and "not ready" in said, said)
    expect("and no probe would kill it", probe(daemon, "livenessProbe")[0] == 0, daemon.log[-2000:])
    expect("SIGTERM ends it", daemon.stop() == 0, daemon.log[-2000:])


def with_a_state_key(node, helm, url, stack):
    """An agent that has run without one is sealed by one upgrade, and runs on without `seal`; no other key will do."""
    said = values(url, "enforce") | {"stateKey": {"secretName": "ephemerald-state-key", "key": "state.key", "seal": True}}
    node.secrets["ephemerald-state-key"] = {"state.key": secrets.token_hex(32)}
    objects = render(helm, said)
    node.apply(objects)
    made = pod(node, objects, "StatefulSet")
    for init in made.spec["initContainers"]:
        container = made.start(init)
        code = container.wait()
        expect(f"with a state key: the init container {init['name']}", code == 0, container.log)
    key = (node.folder / "claims/state/state/agent.key").read_bytes()
    expect("the agent's own key is sealed", key.startswith(b"ephemerald sealed"), "it is not")
    said["stateKey"]["seal"] = False
    objects = render(helm, said)
    node.apply(objects)
    for good in (True, False):
        _, _, _, daemon = begin(node, objects, stack)
        live = until(lambda: probe(daemon, "startupProbe")[0] == 0)
        expect("it starts with the state key" if good else "it starts with another one", live, daemon.log)
        code, status = daemon.run([EPHEMERALD, "status", "--output", "json"])
        doubts = json.loads(status)["ledger"]["doubts"] if code == 0 else status
        expect("and believes its ledger" if good else "and believes nothing", (doubts == []) is good, status)
        daemon.stop()
        node.secrets["ephemerald-state-key"]["state.key"] = secrets.token_hex(32)


def never_enrolled(node, objects):
    """The must-fail side: without a token a new claim enrols nobody, and the daemon is not started."""
    made = kubelet.Pod(node, template_of(of_kind(objects, "StatefulSet")[0])[1], ["another"])
    made.volumes["state"] = made.volumes.pop("another")
    enroll = made.start(made.spec["initContainers"][0])
    code = enroll.wait()
    expect("a missing token on a new claim stops the pod, and is named", code == 3 and "agent-token" in enroll.log, enroll.log)


def main():
    helm, program = sys.argv[1:3]
    if os.geteuid() != 0 or sys.platform != "linux":
        print("play: SKIPPED: the pods can be played by root on Linux only")
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o755)
        at = pathlib.Path(folder)
        cloud = Server(program, at, "jumpcloud", "--write-ca", at / "cloud.pem", "--write-connection", at / "connection.json")
        plane = Server(program, at, "control-plane", "--write-ca", at / "plane.pem", "--write-token", at / "token")
        stack.callback(cloud.stop)
        stack.callback(plane.stop)
        written = [at / name for name in ("cloud.pem", "connection.json", "plane.pem", "token")]
        if not until(lambda: all(file.exists() for file in written)):
            sys.exit(f"play: the sandbox does not start: {cloud.log.read_text()}{plane.log.read_text()}")
        connection = json.loads((at / "connection.json").read_text())
        connection.pop("ssl_ca_cert_content", None)
        connection["ssl_ca_cert"] = "/etc/ephemerald-ca/ca.pem"
        node = kubelet.Node(at / "node", program)
        node.config_maps["sandbox-ca"] = {"ca.pem": (at / "cloud.pem").read_text() + (at / "plane.pem").read_text()}
        node.secrets["ephemerald-connection"] = {"connection.json": json.dumps(connection)}
        node.secrets["ephemerald-agent-token"] = {"agent-token": (at / "token").read_text()}
        url = until(lambda: re.search(r"https://127\.0\.0\.1:\d+", plane.log.read_text()))[0]
        objects = render(helm, values(url))
        node.apply(objects)
        preflight(node, helm, url, objects)
        every_value_set(node, helm)
        node.apply(objects)
        code, said = once(node, objects, "Pod")
        expect("helm test: check reaches everything, before there is an identity", code == 0 and "0 failures" in said and "API key" in said, said)
        first_life(node, helm, url, plane, objects, stack)
        second_life(node, plane, objects, stack)
        with_a_state_key(node, helm, url, stack)
        node.apply(objects)
        never_enrolled(node, objects)
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


main()
