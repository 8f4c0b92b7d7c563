"""Restarts, and two machines on copies of one ledger. Unacknowledged and refused reports."""
import hashlib
import json
import shutil
import signal
import time

from .framework import check, equal, true, until
from .network import problem
from .rig import Rig

RIGS = {"clones": lambda context: Rig(context, "clones"), "reports": lambda context: Rig(context, "reports"),
        "refused reports": lambda context: Rig(context, "refused"),
        "reports in the way": lambda context: Rig(context, "intheway")}


def alarms(rig, sign: str) -> list:
    return rig.cp.store.alarms(rig.agent_id, sign)


def instances(rig) -> set:
    return {(c[4]["epoch"], c[4]["instance"]) for c in list(rig.cp.calls) if c[4].get("epoch")}


@check("clones", "a restart has a higher epoch and is no alarm")
def restart(context, rig):
    rig.end_agent()
    rig.run()
    rig.end_agent(signal.SIGKILL)
    rig.run()
    rig.do({"type": "test"}, "tested")
    epochs = sorted(epoch for epoch, _ in instances(rig))
    equal("epochs", epochs, sorted(set(epochs)))
    equal("alarms", alarms(rig, "clone") + alarms(rig, "lower_epoch"), [])


@check("clones", "two machines on copies of one ledger: an alarm; both are served")
def clone(context, rig):
    rig.end_agent()
    shutil.copytree(rig.dir / "state", rig.dir / "copy")
    rig.run()
    twin = rig._spawn("twin", "--config", rig.config, "--state-dir", rig.dir / "copy",
                      "--control-socket", rig.dir / "twin.sock", "run")
    try:
        until("a clone is seen", lambda: alarms(rig, "clone"))
        newest = max(epoch for epoch, _ in instances(rig))
        equal("processes in one epoch", len([i for e, i in instances(rig) if e == newest]), 2)
        before = len(rig.cp.calls)
        until("both get answers", lambda: len({c[4]["instance"] for c in rig.calls_of("status", before)}) == 2)
    finally:
        twin.kill()
        twin.wait(30)


@check("clones", "a state directory put back from a copy: `replaced`, no jobs, alarmed once")
def put_back(context, rig):
    rig.end_agent()
    shutil.copytree(rig.dir / "state", rig.dir / "backup")
    for _ in range(3):
        rig.run()
        rig.end_agent()
    before = len(alarms(rig, "lower_epoch"))
    job_id = rig.submit({"type": "test"})
    old = rig._spawn("old", "--config", rig.config, "--state-dir", rig.dir / "backup",
                     "--control-socket", rig.dir / "old.sock", "run")
    try:
        until("a lower epoch is seen", lambda: len(alarms(rig, "lower_epoch")) > before)
        count = len(rig.cp.calls)
        until("more statuses", lambda: len(rig.calls_of("status", count)) >= 3)
        equal("alarmed once", len(alarms(rig, "lower_epoch")), before + 1)
        equal("no job was handed to it", rig.results(job_id), [])
        true(f"its log says so: {rig.log_of('old')[-300:]}", "later epoch" in rig.log_of("old"))
    finally:
        old.kill()
        old.wait(30)
    rig.run()
    equal("the real one does the job", rig.result(job_id)["code"], "tested")


@check("reports", "unacknowledged reports come again, others pass them by")
def withheld(context, rig):
    held = rig.id("job")
    rig.cp.settings.withhold = lambda report: report.get("job_id") == held
    rig.submit({"type": "test"}, held)
    needle = f'"{held}"'.encode()
    until("it was sent", lambda: [c for c in rig.calls_of("reports") if needle in c[2]])
    rig.do({"type": "test"}, "tested")
    until("it was sent twice", lambda: len([c for c in rig.calls_of("reports") if needle in c[2]]) >= 2, 60)
    rig.do({"type": "test"}, "tested")
    rig.status_where("an outbox that is not empty", lambda s: s["outbox"] >= 1)
    rig.cp.settings.withhold = None
    equal("in the end", rig.result(held, 60)["code"], "tested")
    rig.status_where("an empty outbox", lambda s: s["outbox"] == 0)


@check("refused reports", "a refused report is parked, with a line to alarm on, and never comes again")
def refused(context, rig):
    bad = rig.id("job")
    rig.cp.settings.refuse = lambda report: "no such job" if report.get("job_id") == bad else None
    rig.submit({"type": "test"}, bad)
    needle = f'"{bad}"'.encode()
    until("it was sent", lambda: [c for c in rig.calls_of("reports") if needle in c[2]])
    rig.status_where("an empty outbox", lambda s: s["outbox"] == 0)
    rig.do({"type": "test"}, "tested")
    lines = [json.loads(line) for line in rig.log_of("agent").splitlines() if '"reports: ' in line]
    true("an error in the log", [line for line in lines if line["level"] == "error"])
    rig.end_agent()
    rig.run()
    rig.do({"type": "test"}, "tested")
    equal("sent once", len([c for c in rig.calls_of("reports") if needle in c[2]]), 1)
    rig.cp.settings.refuse = None
    rig.cp.store.run("UPDATE jobs SET done=1")


@check("reports in the way", "a batch that is answered 400 or 413 is cut down to the report in the way")
def poison(context, rig):
    for status, word in ((400, "malformed"), (413, "too-large")):
        bad, handle, sent = rig.id("job"), rig.cp.handle, []

        def choosy(method, path, authorization, body, alive=None):
            if path.endswith("/reports") and f'"{bad}"'.encode() in body:
                sent.append((time.monotonic(), hashlib.sha256(body).hexdigest()))
                return problem(status, word)
            return handle(method, path, authorization, body, alive)
        rig.server.answer_with("reports", problem(503, "unavailable", {"Retry-After": "2"}), 1)
        rig.cp.handle = choosy
        ids = [rig.submit({"type": "test"}, job_id) for job_id in
               [rig.id("job"), rig.id("job"), bad, rig.id("job"), rig.id("job")]]
        for job_id in ids:
            if job_id != bad:
                equal("code", rig.result(job_id, 40)["code"], "tested")
        rig.status_where("only it is left", lambda s: s["outbox"] == 1)
        rig.hammered = getattr(rig, "hammered", []) + [sent]
        rig.cp.handle = handle
        equal("in the end", rig.result(bad, 90)["code"], "tested")


@check("reports in the way", "a batch that is answered 4xx is not sent again unchanged without a pause")
def no_hammering(context, rig):
    for sent in rig.hammered:
        for body in {digest for _, digest in sent}:
            times = [at for at, digest in sent if digest == body]
            close = [b - a for a, b in zip(times, times[1:]) if b - a < 0.1]
            true(f"one body {len(times)} times, {len(close)} of them less than 0.1 s after the one before, "
                 f"{len(sent)} requests in all", len(close) <= 1)
