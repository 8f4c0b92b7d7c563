"""Plays the table of refusals; each also looks at JumpCloud, where nothing may have been written."""
import signal
import time

from control_plane import jobs

from .framework import Failed, check, equal, true, until
from .refusal_table import CLAIMS, POLICY, SIGNATURE, job, request, target, text
from .rig import POLICY as POLICY_TEXT, REQUEST, Rig

RIGS = {"refusals": lambda context: Rig(context, "refusals")}


def deliver(rig, job_id: str, jws: str):
    """A delivery under an id that this control plane knows, so that the answer is taken."""
    rig.cp.store.run("INSERT OR IGNORE INTO jobs (agent, job_id, jws, lease_until) VALUES (?,?,?,1e12)",
                     rig.agent_id, job_id, jws)
    rig.cp.inject(rig.agent_id, job_id, jws)


def play(context, rig, row, own_writes: int = 0):
    name, wrong, make, code, rule = row
    since = rig.log_end()
    job_id, jws = make(rig)
    deliver(rig, job_id, jws)
    found = "nothing"
    error = None
    try:
        result = rig.result(job_id)
        found = "/".join(filter(None, [result["code"], result.get("rule")]))
        if (result["code"], result.get("rule")) != (code, rule):
            error = f"expected {code}/{rule}, found {result}"
        writes = rig.writes(since)
        if len(writes) != own_writes:
            found, error = found + ", and JumpCloud was written", f"writes at JumpCloud: {writes}"
    except Failed as failed:
        error = str(failed)
    record(context, name, wrong, "/".join(filter(None, [code, rule])), found, error)


def record(context, name, wrong, expected, found, error=None):
    with context.output.lock:
        context.output.table.append((name, wrong, expected, found, error is None))
    context.output.result(f"refusal: {name}", error)


def print_table(table):
    print("\nrefusals")
    heads = ("name", "what is wrong", "expected", "found")
    widths = [max(len(str(row[i])) for row in [heads, *table]) for i in range(4)]
    for row in [heads, tuple("-" * width for width in widths), *table]:
        mark = "" if len(row) == 4 else ("  ok" if row[4] else "  FAIL")
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() + mark)
    print(f"{sum(row[4] for row in table)} of {len(table)} refusals as expected, "
          "none with a write at JumpCloud unless it says so\n")


def rows(context, rig, table):
    for row in table:
        play(context, rig, row)


@check("refusals", "refusals: signatures and headers")
def signatures(context, rig):
    rows(context, rig, SIGNATURE)


@check("refusals", "refusals: claims and times")
def claims(context, rig):
    rows(context, rig, CLAIMS)


@check("refusals", "refusals: policy, accounts and roles")
def policy(context, rig):
    rows(context, rig, POLICY)


@check("refusals", "refusals: against grants that exist")
def existing(context, rig):
    live = rig.grant("u01@example.com", "Manager")
    rig.do(live, "granted")
    ended = rig.grant("u02@example.com", "Manager")
    rig.do(ended, "granted")
    rig.do({"type": "revoke", "grant_id": ended["grant_id"]}, "revoked")
    rig.event(ended["grant_id"], "grant_settled")

    def extend(grant, **fields):
        made = {"type": "extend", "grant_id": grant["grant_id"], "duration_s": 900, "request": REQUEST, **fields}
        return lambda rig: text(rig, job=made)
    held = rig.admins()["manager@example.com"]["roleNames"]
    equal("the Manager's role", held, ["Manager"])
    rows(context, rig, [
        ("grant id in use", "of a live grant", job(grant_id=live["grant_id"]), "conflict", "duplicate_grant"),
        ("grant id used before", "of an ended grant", job(grant_id=ended["grant_id"]), "conflict",
         "duplicate_grant"),
        ("role held already", "standing access", job(role="Manager", target={"email": "manager@example.com"}),
         "already_granted", None),
        ("higher role held already", "standing access", target(email="manager@example.com"),
         "already_granted", None),
        ("extension that shortens", "5 s", extend(live, duration_s=5), "rejected", "not_longer"),
        ("extension too long", "beyond the role's 2 h", extend(live, duration_s=7300), "rejected",
         "duration_too_long"),
        ("extension without a number", "its own request", extend(live, request={}), "rejected",
         "request_number_required"),
        ("extension by its requester", "its own request", extend(live, request={
            **REQUEST, "approvers": [REQUEST["requester"]]}), "rejected", "requester_is_approver"),
        ("extension of what has ended", "settled", extend(ended), "too_late", None),
        ("revoke of what has ended", "settled", lambda rig: text(rig, job={
            "type": "revoke", "grant_id": ended["grant_id"]}), "already_ended", None),
        ("extension, start-by over", "a second ago", lambda rig: text(
            rig, job={"type": "extend", "grant_id": live["grant_id"], "duration_s": 900, "request": REQUEST},
            change=lambda c: c.update(start_by=int(time.time()) - 1)), "expired_before_start", None),
        ("test in an unknown integration", "other", lambda rig: text(
            rig, job={"type": "test"}, integration="other"), "rejected", "unknown_integration"),
    ])
    equal("the live grant's role", rig.roles("u01@example.com"), ["Manager"])


@check("refusals", "refusals: extension of a grant that waits for its raise")
def not_active(context, rig):
    rig.console("POST", "/_sandbox/faults", {"faults": [{
        "method": "PUT", "path_prefix": "/api/users", "count": 1, "delay_ms": 2500,
        "fault": {"kind": "latency"}}]})
    grant = rig.grant("u03@example.com")
    since = rig.log_end()
    job_id = rig.submit(grant)
    until("grant_accepted in the log", lambda: f'"{grant["grant_id"]}"' in rig.log_of("agent"))
    found = rig.result(rig.submit({"type": "extend", "grant_id": grant["grant_id"], "duration_s": 900,
                                   "request": REQUEST}))
    record(context, "extension of what is not active", "the raise is under way",
           "rejected/grant_not_active", f"{found['code']}/{found.get('rule')}",
           None if found.get("rule") == "grant_not_active" else str(found))
    result = rig.result(job_id)
    equal("the grant itself", result["code"], "granted")
    changed = [e for e in rig.writes(since) if e["event"] == "changed"]
    equal("changes at JumpCloud", len(changed), 1)
    rig.console("DELETE", "/_sandbox/faults")


@check("refusals", "refusals: replay and equivocation")
def replay(context, rig):
    grant = rig.grant("u04@example.com")
    job_id = rig.submit(grant)
    first = rig.result(job_id)
    equal("the grant", first["code"], "granted")
    rig.do({"type": "revoke", "grant_id": grant["grant_id"]}, "revoked")
    rig.event(grant["grant_id"], "grant_settled")
    old = rig.cp.store.value("SELECT jws FROM jobs WHERE job_id=?", job_id)
    since, before = rig.log_end(), len(rig.cp.calls)
    rig.cp.inject(rig.agent_id, job_id, old)
    again = until("the same result again", lambda: [
        c for c in rig.calls_of("reports", before) if f'"{job_id}"'.encode() in c[2]])
    true("the same seq again", f'"seq":{first["seq"]},'.encode() in again[0][2])
    error = None if not rig.writes(since) else f"writes: {rig.writes(since)}"
    record(context, "replay of an old job", "its grant has ended since", "the same result, nothing done",
           "the same result, nothing done" if error is None else "written", error)

    claims = rig.cp.claims(rig.agent_id, job_id, "acme", {**grant, "grant_id": rig.id("grant"), "role": "Manager"})
    since, before = rig.log_end(), len(rig.cp.calls)
    rig.cp.inject(rig.agent_id, job_id, jobs.sign_job(rig.job_key, rig.kid, claims))
    until("job_equivocated in the log", lambda: [
        line for line in rig.log_of("agent").splitlines() if "job_equivocated" in line and job_id in line])
    rig.do({"type": "test"}, "tested")
    answers = [c for c in rig.calls_of("reports", before) if f'"{job_id}"'.encode() in c[2]]
    error = None if not answers and not rig.writes(since) else f"{answers} {rig.writes(since)}"
    record(context, "equivocation", "another payload under a used id", "no result, an alarm in the log",
           "no result, an alarm in the log" if error is None else "answered", error)


def with_policy(context, rig, change, table):
    rig.write_policy(change(POLICY_TEXT))
    before = rig.log_of("agent").count("policy: ")
    rig.agent.send_signal(signal.SIGHUP)
    until("the policy is read", lambda: rig.log_of("agent").count("policy: ") > before)
    rows(context, rig, table)


@check("refusals", "refusals: other policies")
def other_policies(context, rig):
    make = job(target={"email": "u05@example.com"})
    with_policy(context, rig, lambda t: t.replace("allowed = true", "allowed = false"), [
        ("ephemeral accounts off", "policy", target(ephemeral={"requester": "ada@example.com"}),
         "rejected", "ephemeral_not_allowed")])
    with_policy(context, rig, lambda t: t.replace("[accounts]", '[accounts]\nallow = ["u01@example.com"]'), [
        ("not on the allow list", "policy", make, "rejected", "account_not_allowed")])
    with_policy(context, rig, lambda t: t.replace("max_live_grants = 200", "max_live_grants = 1"), [
        ("quota", "one live grant is allowed, and there is one", make, "rejected", "quota")])
    with_policy(context, rig, lambda t: t.replace("approvers = 1", "approvers = 2"), [
        ("one approver twice", "two different ones are required",
         request(approvers=["grace@example.com", "Grace@Example.com"]), "rejected", "approvers_required")])
    with_policy(context, rig, lambda t: t.replace('"enforce"', '"dry_run"'), [
        ("dry run", "policy", make, "dry_run", None)])
    # The policy in force before stays in force: here the one of the dry run.
    with_policy(context, rig, lambda t: t.replace("[roles]", "[roles"), [
        ("no readable policy at a reload", "a broken file", make, "dry_run", None)])
    with_policy(context, rig, lambda t: t, [])


@check("refusals", "refusals: JumpCloud says no")
def jumpcloud_says_no(context, rig):
    for name, fault, code, rule in [
            ("credential", {"kind": "unauthorized"}, "failed", "credential"),
            ("refused", {"kind": "forbidden"}, "failed", "refused_by_jumpcloud")]:
        since = rig.log_end()
        rig.console("PUT", "/_sandbox/faults", {"faults": [{"method": "PUT", "path_prefix": "/api/users",
                                                            "fault": fault}]})
        result = rig.result(rig.submit(rig.grant("u06@example.com")))
        rig.console("DELETE", "/_sandbox/faults")
        found = f"{result['code']}/{result.get('rule')}"
        changed = [e for e in rig.writes(since) if e["event"] == "changed"]
        error = None if (result["code"], result.get("rule"), changed) == (code, rule, []) \
            else f"{result} {changed}"
        record(context, f"JumpCloud: {name}", f"{fault['kind']} for every PUT", f"{code}/{rule}", found, error)
