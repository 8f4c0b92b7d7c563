"""Withdrawing a grant, at each stage that the guide names. Heartbeats come every 10 s, so these checks wait."""
from .framework import check, equal, true, until
from .rig import TIMING, Rig

STAGES = ("cancel: leased, not yet raised", "cancel: already sent", "cancel: in doubt, with a revoke")
RIGS = {stage: lambda context, nr=nr: Rig(context, f"cancel{nr}", timing={**TIMING, "raise_timeout": "40s"})
        for nr, stage in enumerate(STAGES)}


def slow(rig, method: str, email: str, count: int, delay_ms: int = 13000, **fault):
    """Makes JumpCloud slow for one account; gives its id."""
    account = rig.admins()[email]["_id"]
    rig.console("PUT", "/_sandbox/faults", {"faults": [{
        "method": method, "path_prefix": f"/api/users/{account}", "count": count, "delay_ms": delay_ms,
        "fault": fault or {"kind": "latency"}}]})
    return account


def cancel(rig, job_id: str):
    rig.cp.store.run("UPDATE jobs SET cancelled=1 WHERE job_id=?", job_id)


@check(STAGES[0], "cancel: queued: dropped, the agent never hears of it")
def queued(context, rig):
    rig.end_agent()
    job_id = rig.submit(rig.grant("u05@example.com"))
    rig.cp.store.run("DELETE FROM jobs WHERE job_id=?", job_id)
    rig.run()
    rig.do({"type": "test"}, "tested")
    true("not in its log", job_id not in rig.log_of("agent"))


@check(STAGES[0], "cancel: leased, not yet raised: cancelled, nothing written")
def not_raised(context, rig):
    account = slow(rig, "GET", "u01@example.com", 2)
    since = rig.log_end()
    job_id = rig.submit(rig.grant({"account_id": account}))
    cancel(rig, job_id)
    equal("code", rig.result(job_id, 40)["code"], "cancelled")
    equal("writes", rig.writes(since), [])
    equal("roles", rig.roles("u01@example.com"), ["Read Only"])
    true("by a heartbeat", rig.cp.store.value("SELECT beats FROM jobs WHERE job_id=?", job_id) >= 1)


@check(STAGES[0], "cancel: answered `granted`: no heartbeats, no effect; a `revoke` ends it")
def too_late(context, rig):
    grant = rig.grant("u02@example.com")
    job_id = rig.submit(grant)
    equal("code", rig.result(job_id)["code"], "granted")
    cancel(rig, job_id)
    before = len(rig.cp.calls)
    until("eleven seconds of statuses", lambda: len(rig.calls_of("status", before)) >= 11)
    equal("heartbeats", rig.calls_of("heartbeat", before), [])
    equal("roles", rig.roles("u02@example.com"), ["Help Desk"])
    rig.do({"type": "revoke", "grant_id": grant["grant_id"]}, "revoked")


@check(STAGES[1], "cancel: already sent: taken back, `cancelled`, then grant_ended {requested}")
def sent(context, rig):
    slow(rig, "PUT", "u01@example.com", 1)
    grant = rig.grant("u01@example.com")
    job_id = rig.submit(grant)
    cancel(rig, job_id)
    result = rig.result(job_id, 50)
    equal("code", result["code"], "cancelled")
    ended = rig.event(grant["grant_id"], "grant_ended")
    equal("reason", ended["reason"], "requested")
    until("roles are back", lambda: rig.roles("u01@example.com") == ["Read Only"])
    history = rig.console("GET", "/_sandbox/history/u01@example.com")["changes"]
    true(f"nothing is left of it: {history}", not history or history[-1]["roles"] == ["Read Only"])


@check(STAGES[2], "cancel: a `revoke` for a grant that waits to be decided makes it `cancelled`")
def revoked(context, rig):
    account = slow(rig, "GET", "u01@example.com", 2, 4000)
    since = rig.log_end()
    grant = rig.grant({"account_id": account})
    job_id = rig.submit(grant)
    until("the read is under way", lambda: any(
        rule.get("fired") for rule in rig.console("GET", "/_sandbox/faults")["faults"]))
    revoke = rig.result(rig.submit({"type": "revoke", "grant_id": grant["grant_id"]}))
    equal("the grant", rig.result(job_id, 40)["code"], "cancelled")
    true(f"the revoke has its own result: {revoke}", revoke["code"] in ("revoked", "already_ended")
         or revoke.get("rule") == "unknown_grant")
    equal("writes", rig.writes(since), [])


@check(STAGES[2], "cancel: in doubt: cancelled and revoked, nothing is left")
def in_doubt(context, rig):
    slow(rig, "PUT", "u02@example.com", 1, 4000, kind="late", after_ms=2000)
    grant = rig.grant("u02@example.com")
    job_id = rig.submit(grant)
    until("the raise is under way", lambda: any(
        rule.get("fired") for rule in rig.console("GET", "/_sandbox/faults")["faults"]))
    cancel(rig, job_id)
    revoke = rig.submit({"type": "revoke", "grant_id": grant["grant_id"]})
    true("the revoke has a result", rig.result(revoke, 50)["code"] in ("revoked", "already_ended", "rejected"))
    true("the grant has a result", rig.result(job_id, 50)["code"] in ("cancelled", "failed", "granted"))
    rig.event(grant["grant_id"], "grant_ended", 40)
    until("nothing is left", lambda: rig.roles("u02@example.com") == ["Read Only"])
