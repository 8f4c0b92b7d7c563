"""Clocks that disagree, no policy, a big organization."""
import time

from .framework import check, equal, true, until
from .life import offers
from .rig import Rig, accounts


class OffRig(Rig):
    """Not enrolled yet: the checks do it."""

    def up(self):
        self.start_sim()
        self.start_control_plane()
        self.write_config()
        return self


class BrokenRig(OffRig):
    def up(self):
        super().up()
        self.enroll()
        self.write_policy("[roles")
        self.run()
        return self


RIGS = {"clock": lambda context: OffRig(context, "clock"),
        "no policy": lambda context: BrokenRig(context, "nopolicy"),
        "big": lambda context: Rig(context, "big", people=accounts(1200))}


@check("clock", "clock: an hour wrong: let in by the nonce, also when it is demanded; nothing is raised")
def hour(context, rig):
    """The agent asks the kernel for the time, so this control plane's clock is the one that is moved."""
    rig.cp.clock = rig.cp.nonces.clock = lambda: time.time() + 3600
    rig.enroll()
    true("a 401 use-nonce, then taken", [401, 200] == [c[3] for c in rig.calls_of("enroll")])
    rig.cp.settings.demand_nonce = True
    rig.run()
    rig.status_where("a skew of an hour", lambda s: abs(s.get("skew_ms", 0) + 3600000) < 60000)
    since, now = rig.log_end(), int(time.time())
    equal("by the control plane's clock",
          rig.result(rig.submit(rig.grant("u01@example.com"))).get("rule"), "issued_in_future")
    found = rig.result(rig.submit(rig.grant("u02@example.com"), iat=now, start_by=now + 600))
    equal("by the agent's clock", found["code"], "clock_untrusted")
    equal("writes", rig.writes(since), [])
    equal("refused proofs", rig.cp.refused_proofs, [])


@check("clock", "clock: a grant that lives ends on time while the clocks disagree")
def jump(context, rig):
    rig.cp.clock = rig.cp.nonces.clock = time.time
    rig.ready()
    rig.status_where("no skew", lambda s: abs(s.get("skew_ms", 99999)) < 60000)
    grant = rig.grant("u03@example.com", duration_s=5)
    found = until("granted again", lambda: (lambda r: r["code"] == "granted" and r)(
        rig.result(rig.submit({**grant, "grant_id": rig.id("grant")}))))
    rig.cp.clock = rig.cp.nonces.clock = lambda: time.time() - 86400
    equal("reason", rig.event(found["grant_id"], "grant_ended")["reason"], "expired")
    equal("roles", rig.roles("u03@example.com"), ["Read Only"])


@check("no policy", "refusal: no policy at the start: nothing is raised; a `test` and a `revoke` are answered")
def no_policy(context, rig):
    since = rig.log_end()
    found = rig.result(rig.submit(rig.grant("u01@example.com")))
    with context.output.lock:
        context.output.table.append(("no policy at the start", "a broken file", "rejected/no_policy",
                                     f"{found['code']}/{found.get('rule')}", found.get("rule") == "no_policy"))
    equal("rule", (found["code"], found.get("rule")), ("rejected", "no_policy"))
    rig.do({"type": "revoke", "grant_id": "grant-none"}, "rejected", "unknown_grant")
    rig.do({"type": "test"}, "tested")
    equal("writes", rig.writes(since), [])


@check("big", "job `sync`: a big inventory, all pages; if it is not offered, unsupported_job_type")
def sync(context, rig):
    from control_plane import inventory
    if "sync" not in offers(rig)["job_types"]:
        print("     not covered: this agent does not offer `sync`", flush=True)
        rig.do({"type": "sync"}, "unsupported_job_type")
        equal("no inventory", rig.calls_of("inventory"), [])
        return
    rig.do({"type": "sync"}, "synced")
    found = inventory.items(rig.cp.store, rig.agent_id, "acme", "accounts")
    equal("accounts", {item["account"]["email"] for item in found}, set(rig.admins()))
    before = len(rig.cp.calls)
    rig.do({"type": "sync"}, "synced")
    sent = [c for c in rig.calls_of("inventory", before) if b'"items"' in c[2]]
    equal("nothing is sent twice", sent, [])


@check("big", "a grant among 1200 administrators")
def among_many(context, rig):
    rig.do(rig.grant("u999@example.com"), "granted")
    equal("roles", rig.roles("u999@example.com"), ["Help Desk"])
