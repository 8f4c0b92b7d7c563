"""Key sets, the agent's own key, nonces, the journal's head."""
import json
import signal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import codec, jobs, keys

from .framework import check, equal, true, until
from .network import problem
from .rig import Rig

RIGS = {"keys": lambda context: Rig(context, "keys"), "agent key": lambda context: Rig(context, "agentkey"),
        "journal": lambda context: Rig(context, "journal")}


def in_force(rig, version: int):
    rig.status_where(f"key set {version}", lambda s: s["key_set_version"] == version)


def offer(rig, key_sets: list, version: int):
    """Shows one after the other in the answers to `status`; `version` has to stay in force."""
    left = list(key_sets)

    def spoil(call, answer):
        return {**answer, "key_set": left.pop(0)} if call == "status" and left else answer
    rig.cp.settings.spoil = spoil
    until("every set was shown", lambda: not left)
    before = len(rig.cp.calls)
    until("one more status", lambda: len(rig.calls_of("status", before)) >= 2)
    rig.cp.settings.spoil = None
    in_force(rig, version)


@check("keys", "key set: a new key beside the old one, then without the old one")
def change(context, rig):
    old, new = (rig.job_key, "jobs-1"), (Ed25519PrivateKey.generate(), "jobs-2")
    jwks = [codec.jwk_of(*old), codec.jwk_of(*new)]
    early = rig.cp.claims(rig.agent_id, rig.id("job"), "acme", {"type": "test"})
    rig.cp.signer = new
    rig.cp.submit(early)
    found = rig.result(early["job_id"])
    equal("signed before its key is handed out", found.get("rule"), "unknown_key")
    rig.cp.publish(jwks)
    in_force(rig, 2)
    rig.do({"type": "test"}, "tested")
    rig.cp.signer = old
    rig.do({"type": "test"}, "tested")
    grant = rig.grant("u01@example.com", duration_s=6)
    rig.do(grant, "granted")
    rig.cp.publish([codec.jwk_of(*new)])
    in_force(rig, 3)
    rig.do({"type": "test"}, "rejected", "unknown_key")
    rig.cp.signer = new
    rig.do({"type": "test"}, "tested")
    equal("what was accepted before goes on", rig.event(grant["grant_id"], "grant_ended")["reason"], "expired")


@check("keys", "key set: older, forged, of another root, other keys under one version: not taken")
def refused(context, rig):
    rig.cp.publish([codec.jwk_of(*rig.cp.signer)])
    version = rig.cp.store.get_meta("key_set_version")
    in_force(rig, version)
    stranger = Ed25519PrivateKey.generate()
    jwk, now = [codec.jwk_of(stranger, "jobs-9")], int(rig.cp.clock())
    root_kid = rig.cp.root_jwk["kid"]
    payload = codec.dumps({"v": 1, "version": version + 5, "iat": now, "keys": jwk}).encode()
    sets = {"older": keys.sign_key_set(rig.root, version - 1, now, jwk),
            "the same version": keys.sign_key_set(rig.root, version, now, jwk),
            "another root": keys.sign_key_set(stranger, version + 5, now, jwk),
            "forged": codec.sign(stranger, keys.KEYS_TYP, root_kid, payload),
            "signed by a job key": codec.sign(rig.cp.signer[0], keys.KEYS_TYP, rig.cp.signer[1], payload),
            "typ of a job": codec.sign(rig.root, jobs.JOB_TYP, root_kid, payload),
            "no keys": keys.sign_key_set(rig.root, version + 5, now, []),
            "a name twice": keys.sign_key_set(rig.root, version + 5, now, jwk + jwk),
            "17 keys": keys.sign_key_set(rig.root, version + 5, now, [
                codec.jwk_of(Ed25519PrivateKey.generate(), f"k{n}") for n in range(17)]),
            "garbage": "a.b.c"}
    offer(rig, list(sets.values()), version)
    job_id = rig.id("job")
    claims = rig.cp.claims(rig.agent_id, job_id, "acme", {"type": "test"})
    rig.cp.store.run("INSERT INTO jobs (agent, job_id, jws, lease_until) VALUES (?,?,'',1e12)",
                     rig.agent_id, job_id)
    rig.cp.inject(rig.agent_id, job_id, jobs.sign_job(stranger, "jobs-9", claims))
    equal("the stranger's job", rig.result(job_id).get("rule"), "unknown_key")
    true("the log tells it", "key set: " in rig.log_of("agent"))
    rig.do({"type": "test"}, "tested")


@check("keys", "key set: the newest is kept over a restart")
def kept(context, rig):
    version = rig.cp.store.get_meta("key_set_version")
    rig.end_agent(signal.SIGKILL)
    rig.run()
    in_force(rig, version)
    rig.do({"type": "test"}, "tested")


def both_keys(rig):
    return [text and codec.thumbprint(json.loads(text)) for text in
            rig.cp.store.row("SELECT key, next_key FROM agents WHERE id=?", rig.agent_id)]


@check("agent key", "rotate-key: asked for, the answer lost twice, the same new key, the old one dropped")
def rotation(context, rig):
    old = rig.thumbprint()
    before = len(rig.cp.calls)
    rig.server.lose("rotate-key", 2)
    rig.cp.store.run("UPDATE agents SET rotate=? WHERE id=?", old, rig.agent_id)
    until("the new key is in force", lambda: both_keys(rig)[0] != old and both_keys(rig)[1] is None, 40)
    asked = [json.loads(c[2])["key"]["x"] for c in rig.calls_of("rotate-key", before)]
    true(f"asked three times for one key: {asked}", len(asked) == 3 and len(set(asked)) == 1)
    new = rig.thumbprint()
    rig.do({"type": "test"}, "tested")
    count = len(rig.cp.calls)
    until("two more statuses with the old wish", lambda: len(rig.calls_of("status", count)) >= 3)
    equal("not fulfilled twice", rig.thumbprint(), new)
    equal("no proof was refused", [t for t in rig.cp.refused_proofs if "UnknownKey" in t], [])
    rig.cp.store.run("UPDATE agents SET rotate=NULL WHERE id=?", rig.agent_id)


@check("agent key", "rotate-key: at the operator's wish, and kept over a restart")
def by_operator(context, rig):
    old = rig.thumbprint()
    rig.cli("rotate-key")
    until("another key", lambda: rig.thumbprint() != old)
    new = rig.thumbprint()
    rig.end_agent(signal.SIGKILL)
    rig.run()
    rig.do({"type": "test"}, "tested")
    equal("key", rig.thumbprint(), new)


@check("agent key", "rotate-key: killed between the new key and the answer, it goes on with one of the two")
def rotation_killed(context, rig):
    old = rig.thumbprint()
    rig.server.lose("rotate-key", 1000)
    rig.cp.store.run("UPDATE agents SET rotate=? WHERE id=?", old, rig.agent_id)
    until("the new key is known here", lambda: both_keys(rig)[1])
    wanted = both_keys(rig)[1]
    rig.end_agent(signal.SIGKILL)
    rig.server.faults.clear()
    rig.run()
    until("the same new key is in force", lambda: both_keys(rig) == [wanted, None], 40)
    rig.cp.store.run("UPDATE agents SET rotate=NULL WHERE id=?", rig.agent_id)
    rig.do({"type": "test"}, "tested")


def nonce_grew_old(rig) -> bool:
    """Makes the agent's nonce old; false if an answer under way, which bears the new one, was faster."""
    before = len(rig.cp.calls)
    rig.cp.nonces.skip += 2
    until("two calls more", lambda: len(rig.cp.calls) >= before + 2)
    statuses = [call[3] for call in rig.cp.calls[before:]]
    if 401 in statuses:
        until("a repeat that is taken", lambda: 200 in {c[3] for c in rig.cp.calls[before + statuses.index(401):]})
    return 401 in statuses


@check("agent key", "nonces: demanded, grown old, never sent")
def nonces(context, rig):
    rig.cp.settings.demand_nonce = True
    rig.do({"type": "test"}, "tested")
    until("a 401, and a repeat that is taken", lambda: nonce_grew_old(rig))
    rig.do({"type": "test"}, "tested")
    rig.cp.nonces.skip += 1
    count = len(rig.cp.calls)
    rig.do({"type": "test"}, "tested")
    true("the one before is taken", 401 not in {c[3] for c in rig.calls_of("reports", count)})
    rig.cp.settings.demand_nonce = False
    rig.cp.settings.send_nonce = False
    rig.do({"type": "test"}, "tested")
    rig.cp.settings.send_nonce = True
    equal("refused proofs", [t for t in rig.cp.refused_proofs if "jti" in t], [])


@check("agent key", "rotate-key: refused with 409, the old key stays; asked again after a restart")
def rotation_refused(context, rig):
    old, before = rig.thumbprint(), len(rig.cp.calls)
    rig.server.answer_with("rotate-key", problem(409, "conflict"), 1)
    rig.cp.store.run("UPDATE agents SET rotate=? WHERE id=?", old, rig.agent_id)
    until("it was refused", lambda: rig.server.faults[-1][3] == 0)
    until("three statuses more", lambda: len(rig.calls_of("status", before)) >= 4)
    rig.do({"type": "test"}, "tested")
    equal("keys", both_keys(rig), [old, None])
    equal("not asked again", rig.calls_of("rotate-key", before), [])
    rig.end_agent()
    rig.run()
    until("the wish is fulfilled", lambda: rig.thumbprint() != old)
    rig.do({"type": "test"}, "tested")
    rig.cp.store.run("UPDATE agents SET rotate=NULL WHERE id=?", rig.agent_id)


@check("journal", "the journal's head: told, grows, and its hash is kept")
def head(context, rig):
    first = rig.status_where("a head", lambda s: "journal" in s)["journal"]
    rig.do({"type": "test"}, "tested")
    rig.status_where("a later head", lambda s: s["journal"]["seq"] > first["seq"])
    equal("alarms", rig.cp.store.alarms(rig.agent_id, "journal_back")
          + rig.cp.store.alarms(rig.agent_id, "journal_forked"), [])
    rig.cli("audit", "verify")


@check("journal", "a stored head beyond the agent's: its operator is told, and what lives ends")
def older_ledger(context, rig):
    grant = rig.grant("u01@example.com")
    rig.do(grant, "granted")
    newest = rig.cp.store.value("SELECT journal_seq FROM agents WHERE id=?", rig.agent_id)
    rig.cp.store.run("UPDATE agents SET journal_seq=?, journal_hash=? WHERE id=?", newest + 100000,
                     "ab" * 32, rig.agent_id)
    until("the operator is told", lambda: "it knows a record of this agent's journal" in rig.log_of("agent"))
    rig.do({"type": "revoke", "grant_id": grant["grant_id"]}, "revoked")
    equal("roles", rig.roles("u01@example.com"), ["Read Only"])
