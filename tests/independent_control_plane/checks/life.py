"""Every job type through to its result and its events."""
import datetime
import json
import time

from .framework import check, equal, true, until
from .rig import REQUEST, Rig

RIGS = {"life": lambda context: Rig(context, "life"), "ends": lambda context: Rig(context, "ends"),
        "overdue": lambda context: Rig(context, "overdue")}


def instant(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def history(rig, account: str) -> list:
    return [change["roles"] for change in rig.console("GET", f"/_sandbox/history/{account}")["changes"]]


def offers(rig) -> dict:
    return json.loads(rig.cp.store.value("SELECT offers FROM agents WHERE id=?", rig.agent_id))


def lived(rig, grant, email, before, during, after, reason="expired"):
    """The events of a grant's end, in order, and what JumpCloud says of it."""
    ended = rig.event(grant["grant_id"], "grant_ended")
    settled = rig.event(grant["grant_id"], "grant_settled")
    equal("reason", ended["reason"], reason)
    true("ended before settled", ended["seq"] < settled["seq"])
    equal("roles_after", ended["evidence"]["roles_after"], after)
    true("verified by a read", ended["evidence"]["verified_by_read"])
    equal("history at JumpCloud", history(rig, email)[-2:], [during, after])
    return ended


@check("life", "job `grant` by e-mail: granted, on time expired, settled")
def by_email(context, rig):
    before = time.time()
    grant = rig.grant("u01@example.com", duration_s=3)
    found = rig.do(grant, "granted")
    equal("roles", rig.roles("u01@example.com"), ["Help Desk"])
    equal("account", found["account"], {"id": rig.admins()["u01@example.com"]["_id"], "email": "u01@example.com"})
    true("a receipt", found["receipt"])
    true("ends_at", before + 2.9 < instant(found["ends_at"]) < time.time() + 3.1)
    equal("evidence", found["evidence"], {"roles_before": ["Read Only"], "roles_after": ["Help Desk"],
                                          "attempts": 1, "verified_by_read": True})
    ended = lived(rig, grant, "u01@example.com", ["Read Only"], ["Help Desk"], ["Read Only"])
    equal("woken by", ended["evidence"]["woken_by"], "wheel")
    true("late by less than 2 s", ended["evidence"]["lateness_ms"] < 2000)
    true("a session may persist", "session_may_persist_until" in ended)


@check("life", "job `grant` by account id, job `revoke`")
def by_id(context, rig):
    account = rig.admins()["u02@example.com"]["_id"]
    grant = rig.grant({"account_id": account}, "Manager")
    rig.do(grant, "granted")
    equal("roles", rig.roles("u02@example.com"), ["Manager"])
    rig.status_where("one live grant", lambda s: s["live_grants"] >= 1 and "next_expiry" in s)
    rig.do({"type": "revoke", "grant_id": grant["grant_id"], "reason": "done early"}, "revoked")
    equal("roles after", rig.roles("u02@example.com"), ["Read Only"])
    lived(rig, grant, "u02@example.com", ["Read Only"], ["Manager"], ["Read Only"], "requested")


@check("life", "job `grant` of an ephemeral account: made, deleted at its end")
def ephemeral(context, rig):
    grant = rig.grant({"ephemeral": {"requester": "ada@example.com", "firstname": "Ada",
                                     "lastname": "Lovelace"}}, duration_s=3)
    found = rig.do(grant, "granted")
    email = found["account"]["email"]
    true("the address is the requester's, with a tag", email.startswith("ada+") and email.endswith("@example.com"))
    account = rig.admins()[email]
    equal("the account", (account["firstname"], account["lastname"], account["roleNames"]),
          ("Ada", "Lovelace", ["Help Desk"]))
    true("it waits for its first sign-in", found["evidence"]["awaiting_activation"])
    lived(rig, grant, email, [], ["Help Desk"], [])
    true("it is gone", email not in rig.admins())


@check("life", "job `extend`: a later end and a new receipt")
def extend(context, rig):
    grant = rig.grant("u03@example.com", duration_s=4)
    first = rig.do(grant, "granted")
    found = rig.do({"type": "extend", "grant_id": grant["grant_id"], "duration_s": 8,
                    "request": {**REQUEST, "number": "AR-2"}}, "extended")
    true("a later end", instant(found["ends_at"]) > instant(first["ends_at"]) + 2)
    true("a new receipt", found["receipt"] != first["receipt"])
    until("the old end is over", lambda: time.time() > instant(first["ends_at"]) + 0.5)
    equal("still held", rig.roles("u03@example.com"), ["Help Desk"])
    ended = lived(rig, grant, "u03@example.com", ["Read Only"], ["Help Desk"], ["Read Only"])
    true("ended at the new end", abs(instant(ended["at"]) - instant(found["ends_at"])) < 3)


@check("life", "offers: the job types that are carried out are those that are offered")
def what_is_offered(context, rig):
    offered = offers(rig)["job_types"]
    grant = rig.grant("u04@example.com")
    rig.do(grant, "granted")
    samples = {"test": {"type": "test"}, "sync": {"type": "sync"},
               "extend": {"type": "extend", "grant_id": grant["grant_id"], "duration_s": 900, "request": REQUEST},
               "revoke": {"type": "revoke", "grant_id": grant["grant_id"]}}
    done = {kind: rig.result(rig.submit(job))["code"] for kind, job in samples.items()}
    done["grant"] = "granted"
    carried_out = sorted(kind for kind, code in done.items() if code != "unsupported_job_type")
    equal("job types", carried_out, sorted(offered))


@check("life", "job `test`: tested, nothing is written")
def test(context, rig):
    since = rig.log_end()
    rig.do({"type": "test"}, "tested")
    equal("writes", rig.writes(since), [])


@check("life", "a `revoke` comes late: no time rule gates it")
def late_revoke(context, rig):
    grant = rig.grant("u05@example.com")
    rig.do(grant, "granted")
    rig.do({"type": "revoke", "grant_id": grant["grant_id"]}, "revoked",
           iat=int(time.time()) - 40 * 86400, start_by=int(time.time()) - 39 * 86400)
    equal("roles", rig.roles("u05@example.com"), ["Read Only"])


@check("life", "`until` shortens a grant")
def shortened(context, rig):
    end = int(time.time()) + 3
    grant = rig.grant("u06@example.com", until=end)
    found = rig.do(grant, "granted")
    equal("ends_at", instant(found["ends_at"]), end)
    lived(rig, grant, "u06@example.com", ["Read Only"], ["Help Desk"], ["Read Only"])


@check("life", "two grants of one account: the access ends with the last")
def overlap(context, rig):
    short, long = rig.grant("u07@example.com", duration_s=3), rig.grant("u07@example.com", duration_s=600)
    rig.do(short, "granted")
    rig.do(long, "granted")
    rig.event(short["grant_id"], "grant_ended")
    equal("roles", rig.roles("u07@example.com"), ["Help Desk"])
    rig.do({"type": "revoke", "grant_id": long["grant_id"]}, "revoked")
    equal("roles", rig.roles("u07@example.com"), ["Read Only"])


@check("ends", "a person takes the role away: revoked_externally")
def externally(context, rig):
    grant = rig.grant("u01@example.com")
    rig.do(grant, "granted")
    rig.console("PUT", "/_sandbox/admins/u01@example.com", {"roles": ["Read Only"]})
    equal("reason", rig.event(grant["grant_id"], "grant_ended")["reason"], "revoked_externally")


@check("ends", "a person gives more while a grant lives: it is left as it is at the grant's end")
def superseded(context, rig):
    grant = rig.grant("u02@example.com", duration_s=5)
    rig.do(grant, "granted")
    rig.console("PUT", "/_sandbox/admins/u02@example.com", {"roles": ["Administrator"]})
    ended = rig.event(grant["grant_id"], "grant_ended")
    equal("reason", ended["reason"], "superseded")
    equal("observed", ended["evidence"]["observed"], ["Administrator"])
    equal("roles", rig.roles("u02@example.com"), ["Administrator"])


@check("ends", "the account is deleted: target_gone")
def gone(context, rig):
    grant = rig.grant("u03@example.com")
    rig.do(grant, "granted")
    rig.console("DELETE", "/_sandbox/admins/u03@example.com")
    equal("reason", rig.event(grant["grant_id"], "grant_ended")["reason"], "target_gone")


@check("ends", "the access comes back after its end: grant_reappeared, lowered again")
def reappeared(context, rig):
    grant = rig.grant("u04@example.com")
    rig.do(grant, "granted")
    rig.do({"type": "revoke", "grant_id": grant["grant_id"]}, "revoked")
    rig.console("PUT", "/_sandbox/admins/u04@example.com", {"roles": ["Help Desk"]})
    rig.event(grant["grant_id"], "grant_reappeared")
    until("lowered again", lambda: rig.roles("u04@example.com") == ["Read Only"])


@check("overdue", "JumpCloud does not take an ending: the status counts the grant as live or ending all along")
def counted(context, rig):
    account = rig.admins()["u05@example.com"]["_id"]
    rig.grant_overdue = grant = rig.grant("u05@example.com", duration_s=8)
    rig.do(grant, "granted")
    rig.console("PUT", "/_sandbox/faults", {"faults": [{"method": "PUT", "path_prefix": f"/api/users/{account}",
                                                        "fault": {"kind": "error_before", "status": 500}}]})
    until("it is due", lambda: '"grant_ending"' in rig.log_of("agent"))
    before = len(rig.cp.calls)
    until("two statuses more", lambda: len(rig.calls_of("status", before)) >= 2)
    status = json.loads(rig.cp.store.value("SELECT status FROM agents WHERE id=?", rig.agent_id))
    equal("roles at JumpCloud", rig.roles("u05@example.com"), ["Help Desk"])
    true(f"live_grants {status['live_grants']} and ending {status['ending']} while the role is held",
         status["live_grants"] + status["ending"] >= 1)


@check("overdue", "JumpCloud does not take an ending: overdue, tried until it does")
def overdue(context, rig):
    rig.status_where("overdue in the status", lambda s: s["overdue"] >= 1, 60)
    rig.console("DELETE", "/_sandbox/faults")
    equal("reason", rig.event(rig.grant_overdue["grant_id"], "grant_ended", 60)["reason"], "expired")
    equal("roles", rig.roles("u05@example.com"), ["Read Only"])
