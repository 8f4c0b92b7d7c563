"""Lost answers, duplicates, leases, an absent control plane, odd answers."""
import json
import signal
import time

from .framework import check, equal, true, until
from .rig import Rig

RIGS = {"network": lambda context: LateRig(context, "network"),
        "pins": lambda context: LateRig(context, "pins"), "odd": lambda context: Rig(
    context, "odd", control_plane='poll_max = "1s"\nreport_interval = "1s"')}


class LateRig(Rig):
    """Not enrolled yet: the checks do it."""

    def up(self):
        self.start_sim()
        self.start_control_plane()
        self.cp.settings.lease_s = 3
        self.write_config()
        return self


@check("network", "enroll: a spoilt token, a lost answer, the same token again, another key")
def lost_enroll(context, rig):
    rig.enroll("eph1.nonsense", expect=3)
    other = rig.cp.new_token()
    rig.cp.store.run("DELETE FROM tokens")
    equal("unknown token", rig.enroll(other, expect=4).returncode, 4)
    token = rig.cp.new_token()
    rig.server.lose("enroll", 100)
    lost = rig.enroll(token, expect=5)
    true("the agent says why", lost.stderr)
    agent = rig.cp.store.value("SELECT agent FROM tokens")
    true("the token is bound", agent)
    rig.server.faults.clear()
    rig.enroll(token)
    equal("one agent", [r["id"] for r in rig.cp.store.rows("SELECT id FROM agents")], [agent])
    rig.cli("--state-dir", rig.dir / "thief", "enroll", text=token, expect=4)
    equal("alarm on the spent token", len(rig.cp.store.alarms(agent, "token_reused")), 1)
    before = len(rig.cp.calls)
    rig.enroll(token, expect=4)
    equal("an enrolled agent does not ask", rig.calls_of("enroll", before), [])
    rig.run()


@check("pins", "enroll: no common version; another root, a forged key set, other keys: exit code 7, nothing is taken")
def pins(context, rig):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from control_plane import codec, keys
    rig.cp.settings.versions = (2, 3)
    rig.enroll(expect=4)
    rig.cp.settings.versions = (1,)
    stranger = Ed25519PrivateKey.generate()
    theirs = codec.jwk_of(stranger)
    right = keys.read_token(rig.cp.new_token(), context.schemas)
    wrong_root = keys.make_token(right["url"], right["secret"], theirs["kid"])
    rig.enroll(wrong_root, expect=7)
    forged = codec.sign(stranger, keys.KEYS_TYP, rig.cp.root_jwk["kid"], codec.dumps(
        {"v": 1, "version": 1, "iat": 1, "keys": [theirs]}).encode())
    for change in ({"key_set": forged}, {"root": theirs, "key_set": keys.sign_key_set(stranger, 1, 1, [theirs])},
                   {"root": theirs}, {"key_set": keys.sign_key_set(stranger, 1, 1, [theirs])}):
        rig.cp.settings.spoil = lambda call, answer: {**answer, **change}
        rig.enroll(keys.make_token(right["url"], right["secret"], right["root"]), expect=7)
    rig.cp.settings.spoil = None
    rig.enroll(keys.make_token(right["url"], right["secret"], right["root"]))
    rig.run()
    rig.do({"type": "test"}, "tested")


@check("network", "reports: the answer is lost, the same reports come again")
def lost_reports(context, rig):
    rig.server.lose("reports", 2)
    grant = rig.grant("u01@example.com")
    found = rig.do(grant, "granted")
    needle = f'"seq":{found["seq"]},'.encode()
    until("sent three times", lambda: len([c for c in rig.calls_of("reports") if needle in c[2]]) >= 3)
    equal("stored once", len(rig.results(found["job_id"])), 1)
    rig.status_where("an empty outbox", lambda s: s["outbox"] == 0)


@check("network", "acquire: the answer is lost, the job is handed out again, with the same text")
def lost_acquire(context, rig):
    rig.server.lose("acquire", 2, b'"jws"')
    since = rig.log_end()
    job_id = rig.submit(rig.grant("u02@example.com"))
    equal("result", rig.result(job_id)["code"], "granted")
    row = rig.cp.store.row("SELECT * FROM jobs WHERE job_id=?", job_id)
    equal("handed out", row["handed_out"], 3)
    equal("one effect", len([e for e in rig.writes(since) if e["event"] == "changed"]), 1)


@check("network", "one job twice in one answer: one effect, one result")
def twice(context, rig):
    grant = rig.grant("u03@example.com")
    job_id = rig.id("job")
    since = rig.log_end()
    jws = rig.cp.submit(rig.cp.claims(rig.agent_id, job_id, "acme", grant), queued=False)
    with rig.cp.store.lock:
        rig.cp.inject(rig.agent_id, job_id, jws)
        rig.cp.inject(rig.agent_id, job_id, jws)
    equal("result", rig.result(job_id)["code"], "granted")
    rig.do({"type": "test"}, "tested")
    equal("one result", len(rig.results(job_id)), 1)
    equal("one effect", len([e for e in rig.writes(since) if e["event"] == "changed"]), 1)


@check("network", "the agent is killed with a job in hand: the lease runs out, one result")
def killed(context, rig):
    account = rig.admins()["u04@example.com"]["_id"]
    rig.console("PUT", "/_sandbox/faults", {"faults": [{
        "method": "PUT", "path_prefix": f"/api/users/{account}", "count": 1, "delay_ms": 3000,
        "fault": {"kind": "latency"}}]})
    job_id = rig.submit(rig.grant("u04@example.com"))
    until("the raise is sent", lambda: any(
        rule.get("fired") for rule in rig.console("GET", "/_sandbox/faults")["faults"]))
    rig.end_agent(signal.SIGKILL)
    rig.run()
    found = rig.result(job_id)
    true(f"granted, or lowered to be sure: {found}", found["code"] in ("granted", "failed"))
    row = rig.cp.store.row("SELECT * FROM jobs WHERE job_id=?", job_id)
    wanted = ["Help Desk"] if found["code"] == "granted" else ["Read Only"]
    until("JumpCloud agrees with the result", lambda: rig.roles("u04@example.com") == wanted)
    equal("one result", len(rig.results(job_id)), 1)
    true("leased", row["handed_out"] >= 1)
    rig.console("DELETE", "/_sandbox/faults")


@check("network", "the control plane is away while a grant ends: it ends on time and is told afterwards")
def away(context, rig):
    grant = rig.grant("u05@example.com", duration_s=4)
    rig.do(grant, "granted")
    rig.stop_control_plane()
    until("ended all the same", lambda: rig.roles("u05@example.com") == ["Read Only"], 15)
    rig.restart_control_plane()
    ended = rig.event(grant["grant_id"], "grant_ended", 40)
    equal("reason", ended["reason"], "expired")
    true("late by less than 2 s", ended["evidence"]["lateness_ms"] < 2000)
    rig.do({"type": "test"}, "tested")


@check("network", "a job that waited past its start-by is answered, and nothing was done")
def expired(context, rig):
    rig.end_agent()
    since = rig.log_end()
    job_id = rig.submit(rig.grant("u06@example.com"), start_by=int(time.time()) + 1)
    until("the start-by is over", lambda: time.time() > rig_start_by(rig, job_id) + 1)
    rig.run()
    equal("code", rig.result(job_id)["code"], "expired_before_start")
    equal("writes", rig.writes(since), [])


def rig_start_by(rig, job_id: str) -> int:
    from control_plane import codec
    jws = rig.cp.store.value("SELECT jws FROM jobs WHERE job_id=?", job_id)
    return codec.loads(codec.split(jws, 65536)[1])["start_by"]


def problem(status: int, word: str, headers=None):
    document = {"type": f"urn:ephemerald:problem:{word}", "status": status}
    return (status, {"Content-Type": "application/problem+json", **(headers or {})}, json.dumps(document).encode())


@check("odd", "answers that are none: 500, 503, 302, 204, HTML, too long: the agent asks again")
def odd_answers(context, rig):
    plain = {"Content-Type": "application/json"}
    answers = [problem(500, "internal"), problem(503, "unavailable", {"Retry-After": "1"}),
               (302, {"Location": rig.origin + "/v1/agent/elsewhere"}, b""), (204, {}, b""),
               (200, {"Content-Type": "text/html"}, b"<html>hello</html>"), (200, plain, b"{}"),
               (200, plain, b"[" * 100000), (200, plain, b'{"jobs":[],"server_time":"soon"}'),
               problem(403, "conflict")]
    before = len(rig.cp.calls)
    for answer in answers:
        rig.server.answer_with("acquire", answer)
        rig.do({"type": "test"}, "tested")
        until(f"{answer[0]} is spent", lambda: rig.server.faults[-1][3] == 0)
    rig.do({"type": "test"}, "tested")
    true("no redirect was followed", not [c for c in rig.cp.calls[before:] if c[0] is None])


@check("odd", "pace: `poll_after_s` sets the pause between polls")
def pace(context, rig):
    rig.cp.settings.poll_after_s = 2
    rig.do({"type": "test"}, "tested")
    def polls():
        with rig.cp.store.lock:
            return [c[4]["iat"] for c in rig.calls_of("acquire")]
    count = len(polls())
    until("three polls more", lambda: len(polls()) >= count + 3)
    gaps = [b - a for a, b in zip(polls()[count:], polls()[count + 1:])]
    true(f"2 s at least between polls: {gaps}", all(gap >= 1 for gap in gaps))
    rig.cp.settings.poll_after_s = None


@check("odd", "a hundred jobs: never more than the capacity, each with its result")
def many(context, rig):
    ids = [rig.submit({"type": "test"}) for _ in range(100)]
    for job_id in ids:
        equal("code", rig.result(job_id, 60)["code"], "tested")
    equal("results", len(rig.cp.store.reports(rig.agent_id, "code='tested'")) >= 100, True)


@check("odd", "versions: 409 no-common-version, then a version that nobody offered, then peace")
def versions(context, rig):
    rig.cp.settings.versions = (2, 3)
    before = len(rig.cp.calls)
    until("409 for acquire and status", lambda: {c[0] for c in rig.cp.calls[before:] if c[3] == 409}
          >= {"acquire", "status"})
    rig.cp.settings.versions = (1,)
    rig.do({"type": "test"}, "tested")
    rig.cp.settings.answer_version, rig.cp.settings.lease_s = 7, 2
    before = len(rig.cp.calls)
    until("an answer in version 7", lambda: rig.calls_of("acquire", before))
    before = len(rig.cp.calls)
    job_id = rig.submit(rig.grant("u01@example.com"))
    until("jobs in version 7", lambda: rig.calls_of("acquire", before) and rig.calls_of("status", before))
    found = rig.results(job_id)
    rig.cp.settings.answer_version = None
    true(f"no job was taken from such an answer: {found}", not found)
    equal("afterwards", rig.result(job_id, 60)["code"], "granted")
