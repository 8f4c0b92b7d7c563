"""What each call does once the request is proven and its body has the right form."""
import json
import time
from dataclasses import dataclass

from . import codec, inventory as pages, keys, reports as stored


@dataclass
class Request:
    agent: str
    claims: dict
    key: str
    message: dict
    job_id: str
    replaced: bool
    alive: object


def _problem(*args, **more):
    from .service import Problem
    return Problem(*args, **more)


def _version(service, message: dict) -> int:
    offered = message.get("offers", {}).get("versions", [1])
    common = set(offered) & set(service.settings.versions)
    if service.settings.answer_version:
        return service.settings.answer_version
    if not common:
        raise _problem(409, "no-common-version", "no version that both sides know",
                       versions=list(service.settings.versions))
    return max(common)


def _note_offers(service, agent: str, message: dict):
    if "offers" in message:
        service.store.run("UPDATE agents SET offers=? WHERE id=?", codec.dumps(message["offers"]), agent)


def key_used(service, agent: str, kid: str):
    """The first proof by a new key makes the old one worthless."""
    row = service.store.row("SELECT next_key FROM agents WHERE id=?", agent)
    if row["next_key"] and codec.thumbprint(json.loads(row["next_key"])) == kid:
        service.store.run("UPDATE agents SET key=next_key, next_key=NULL WHERE id=?", agent)


def enroll(service, request) -> dict:
    from .service import secret_hash
    store, message = service.store, request.message
    version = _version(service, message)
    thumbprint = codec.thumbprint(message["key"])
    hashed = secret_hash(message["secret"])
    with store.lock:
        token = store.row("SELECT * FROM tokens WHERE hash=?", hashed)
        if token is None:
            raise _problem(401, "token-refused", "this agent token is not taken")
        agent = token["agent"]
        if token["thumbprint"] is None:
            if store.value("SELECT 1 FROM tokens WHERE thumbprint=?", thumbprint):
                raise _problem(409, "conflict", "this key has an agent id already")
            agent = service.new_agent_id()
            store.run("UPDATE tokens SET thumbprint=?, agent=? WHERE hash=?", thumbprint, agent, hashed)
            jwk = {name: message["key"][name] for name in ("kty", "crv", "x")}
            store.run("INSERT INTO agents (id, name, key) VALUES (?,?,?)", agent,
                      message.get("name"), codec.dumps(jwk))
        elif token["thumbprint"] != thumbprint:
            store.alarm(agent, "token_reused", thumbprint)
            raise _problem(401, "token-refused", "this agent token is not taken")
        _note_offers(service, agent, message)
    return {"agent_id": agent, "root": service.root_jwk, "key_set": store.get_meta("key_set"),
            "version": version}


def acquire(service, request) -> dict:
    store, message = service.store, request.message
    version = _version(service, message)
    deadline = time.monotonic() + message["wait_s"]
    with store.changed:
        _note_offers(service, request.agent, message)
        while True:
            found = [] if request.replaced or not request.alive() else _lease(service, request)
            left = deadline - time.monotonic()
            if found or left <= 0 or service.closing or not request.alive():
                break
            store.changed.wait(min(left, 0.5))  # leases run out without a word
    answer = {"jobs": found, "version": version}
    if service.settings.poll_after_s is not None:
        answer["poll_after_s"] = service.settings.poll_after_s
    return answer


def _lease(service, request) -> list:
    store, now, lease = service.store, service.clock(), service.settings.lease_s
    for job_id in request.message["known"]:
        store.run("UPDATE jobs SET lease_until=? WHERE agent=? AND job_id=? AND done=0",
                  now + lease, request.agent, job_id)
    room = request.message["capacity"]
    found = []
    for item in list(service.injections):
        if item[0] == request.agent and len(found) < room:
            service.injections.remove(item)
            found.append({"job_id": item[1], "jws": item[2], "lease_s": lease})
    due = store.rows("SELECT job_id, jws FROM jobs WHERE agent=? AND done=0 AND lease_until<=? "
                     "ORDER BY nr LIMIT ?", request.agent, now, room - len(found))
    for row in due:
        store.run("UPDATE jobs SET lease_until=?, handed_out=handed_out+1 WHERE agent=? AND job_id=?",
                  now + lease, request.agent, row["job_id"])
        found.append({"job_id": row["job_id"], "jws": row["jws"], "lease_s": lease})
    return found


def heartbeat(service, request) -> dict:
    store, lease = service.store, service.settings.lease_s
    with store.changed:
        row = store.row("SELECT * FROM jobs WHERE agent=? AND job_id=? AND done=0 AND handed_out>0",
                        request.agent, request.job_id)
        if row is None:
            raise _problem(404, "not-found", "this agent holds no such job")
        store.run("UPDATE jobs SET lease_until=?, beats=beats+1 WHERE nr=?",
                  service.clock() + lease, row["nr"])
    return {"lease_s": lease, "cancelled": bool(row["cancelled"])}


def reports(service, request) -> dict:
    settings, acked, refused = service.settings, [], []
    with service.store.changed:
        for report in request.message["reports"]:
            if settings.withhold and settings.withhold(report):
                continue
            reason = settings.refuse and settings.refuse(report)
            reason = reason or stored.never_ours(service.store, request.agent, report)
            if reason:
                refused.append({"seq": report["seq"], "reason": reason})
                continue
            stored.store_report(service.store, request.agent, report)
            acked.append(report["seq"])
    return {"acked": acked, **({"refused": refused} if refused else {})}


def status(service, request) -> dict:
    store, message, agent = service.store, request.message, request.agent
    version = _version(service, message)
    answer = {"version": version}
    with store.changed:
        _note_offers(service, agent, message)
        row = store.row("SELECT * FROM agents WHERE id=?", agent)
        if request.replaced:
            answer["replaced"] = True
        else:
            store.run("UPDATE agents SET status=?, status_at=?, key_set_version=? WHERE id=?",
                      codec.dumps(message), service.clock(), message["key_set_version"], agent)
        head = message.get("journal")
        if head and row["journal_seq"] is not None:
            if head["seq"] < row["journal_seq"]:
                store.alarm(agent, "journal_back", str(head["seq"]))
            elif head["seq"] == row["journal_seq"] and head["hash"] != row["journal_hash"]:
                store.alarm(agent, "journal_forked", str(head["seq"]))
        if head and (row["journal_seq"] is None or head["seq"] > row["journal_seq"]):
            store.run("UPDATE agents SET journal_seq=?, journal_hash=? WHERE id=?",
                      head["seq"], head["hash"], agent)
        row = store.row("SELECT * FROM agents WHERE id=?", agent)
    if row["journal_seq"] is not None:
        answer["journal"] = {"seq": row["journal_seq"], "hash": row["journal_hash"]}
    if message["key_set_version"] < store.get_meta("key_set_version"):
        answer["key_set"] = store.get_meta("key_set")
    if row["rotate"]:
        answer["rotate_key"] = row["rotate"]
    if service.settings.poll_after_s is not None:
        answer["poll_after_s"] = service.settings.poll_after_s
    return answer


def inventory(service, request) -> dict:
    with service.store.changed:
        return {"missing": pages.take(service.store, request.agent, request.message)}


def recover(service, request) -> dict:
    after = request.message.get("cursor", "")
    rows = service.store.rows("SELECT * FROM grants WHERE agent=? AND state IN ('live','reappeared') "
                              "AND grant_id>? ORDER BY grant_id LIMIT 201", request.agent, after)
    grants = [{"grant_id": row["grant_id"], "integration": row["integration"],
               "account": json.loads(row["account"]), "role": row["role"], "ends_at": row["ends_at"],
               **({"receipt": row["receipt"]} if row["receipt"] else {})} for row in rows[:200]]
    return {"grants": grants, **({"cursor": grants[-1]["grant_id"]} if len(rows) > 200 else {})}


def rotate_key(service, request) -> dict:
    store, message = service.store, request.message
    try:
        new = keys.check_rotation(message, request.agent, service.origin, request.key, service.schemas)
    except codec.Malformed as error:
        raise _problem(400, "malformed", str(error)) from None
    jwk = {name: message["key"][name] for name in ("kty", "crv", "x")}
    with store.lock:
        for row in store.rows("SELECT key, next_key FROM agents WHERE id<>?", request.agent):
            if any(text and codec.thumbprint(json.loads(text)) == new for text in row):
                raise _problem(409, "conflict", "the key belongs to another agent")
        store.run("UPDATE agents SET next_key=? WHERE id=?", codec.dumps(jwk), request.agent)
    return {"key": new}
