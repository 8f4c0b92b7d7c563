"""This control plane itself, driven by an agent made of a few lines."""
import json
import secrets
import time
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import codec, inventory, keys, proofs
from control_plane.service import BODY_LIMIT, Service
from control_plane.store import Store

from .framework import check, equal, true

ORIGIN = "https://127.0.0.1:1"
PREFIX = "/v1/agent/"


class Agent:
    """Signs what it is told to, also what is wrong."""

    def __init__(self, service):
        self.service, self.key, self.id, self.nonce = service, Ed25519PrivateKey.generate(), None, None
        self.instance, self.epoch = secrets.token_hex(8), 0

    @property
    def jwk(self):
        return codec.jwk_of(self.key)

    def proof(self, path, raw, key=None, typ=proofs.PROOF_TYP, **claims):
        made = {"iss": self.id or self.jwk["kid"], "aud": ORIGIN, "htm": "POST", "htu": ORIGIN + path,
                "body": codec.sha256_b64(raw), "iat": int(time.time()), "jti": secrets.token_urlsafe(16),
                "instance": self.instance, "epoch": self.epoch, **claims}
        made = {name: value for name, value in made.items() if value is not None}
        return codec.sign(key or self.key, typ, codec.jwk_of(key or self.key)["kid"], codec.dumps(made).encode())

    def call(self, call, message, proof=None, **claims):
        path, body = PREFIX + call, message if isinstance(message, bytes) else codec.dumps(message).encode()
        jwt = self.proof(path, body, **claims) if proof is None else proof
        status, headers, answer = self.service.handle("POST", path, f"Agent {jwt}", body)
        found = json.loads(answer)
        return SimpleNamespace(**{**found, "status": status, "headers": headers,
                                  "word": found.get("type", "").rpartition(":")[2]})

    def enroll(self, secret):
        answer = self.call("enroll", {"secret": secret, "key": self.jwk, "version": "0.1.0"})
        if answer.status == 200:
            self.id, self.epoch = answer.agent_id, 1
        return answer


def new(context):
    service = Service(Store(":memory:"), context.schemas, ORIGIN, Ed25519PrivateKey.generate(),
                      Ed25519PrivateKey.generate(), "jobs-1")
    agent = Agent(service)
    secret = keys.read_token(service.new_token(), context.schemas)["secret"]
    equal("enrolled", agent.enroll(secret).status, 200)
    return service, agent, secret


REPORT = {"seq": 1, "at": "2026-11-24T10:00:00.000Z", "kind": "event", "code": "grant_settled"}
REPORTS = {"reports": [REPORT]}


@check("own", "own: every fault of a proof is 401 proof-refused, and nothing else is said")
def proof_faults(context, _):
    service, agent, _secret = new(context)
    stranger = Ed25519PrivateKey.generate()
    body = codec.dumps(REPORTS).encode()
    path = PREFIX + "reports"
    faults = [{"aud": "https://other.example.com"}, {"htm": "PUT"}, {"htu": ORIGIN + "/v1/agent/status"},
              {"htu": ORIGIN + path + "?x=1"}, {"body": codec.sha256_b64(b"{}")}, {"iss": "agent-other"},
              {"key": stranger}, {"typ": "ephemerald-job+jws"}, {"extra": 1}, {"jti": None}, {"jti": ""},
              {"epoch": -1}, {"iat": "now"}, {"instance": None}]
    texts = {codec.dumps(vars(agent.call("reports", REPORTS, **fault)) | {"headers": 0}) for fault in faults}
    equal("one answer to all of them", len(texts), 1)
    true("it is proof-refused", "proof-refused" in texts.pop())
    for jwt in ("", "a.b.c", agent.proof(path, body)[:-2], agent.proof(path, body) + "."):
        equal("a spoilt JWT", agent.call("reports", REPORTS, proof=jwt).word, "proof-refused")
    good = agent.proof(path, body)
    equal("a good one", agent.call("reports", REPORTS, proof=good).status, 200)
    equal("the same again", agent.call("reports", REPORTS, proof=good).word, "proof-refused")
    equal("stored", len(service.store.reports(agent.id)), 1)


@check("own", "own: clocks and nonces")
def clocks(context, _):
    service, agent, _secret = new(context)
    now = int(time.time())
    equal("110 s off", agent.call("reports", REPORTS, iat=now - 110).status, 200)
    answer = agent.call("reports", REPORTS, iat=now - 3600)
    equal("an hour off", (answer.status, answer.word), (401, "use-nonce"))
    nonce = answer.headers["ephemerald-nonce"]
    equal("with the nonce", agent.call("reports", REPORTS, iat=now - 3600, nonce=nonce).status, 200)
    service.nonces.skip += 1
    equal("the one before", agent.call("reports", REPORTS, nonce=nonce).status, 200)
    service.nonces.skip += 1
    equal("two before", agent.call("reports", REPORTS, nonce=nonce).word, "use-nonce")
    equal("made up", agent.call("reports", REPORTS, nonce="n-1").word, "use-nonce")
    service.settings.demand_nonce = True
    equal("none", agent.call("reports", REPORTS).word, "use-nonce")


@check("own", "own: bodies: too large, not JSON, a key twice, not the message, no such call")
def bodies(context, _):
    service, agent, _secret = new(context)
    for body, status in ((b"{", 400), (b'{"reports":[],"reports":[]}', 400), (b"[]", 400), (b"{}", 400),
                         (b" " * (BODY_LIMIT + 1), 413), (b'{"reports":[]}', 400)):
        equal(body[:30].decode(), agent.call("reports", body).status, status)
    equal("no such call", agent.call("elsewhere", {}).word, "not-found")
    equal("unknown fields are ignored", agent.call("reports", {**REPORTS, "newer": {"a": 1}}).status, 200)


@check("own", "own: enrolment: replayed, with another key, with a key that is known")
def enrolment(context, _):
    service, agent, secret = new(context)
    again = Agent(service)
    again.key = agent.key
    equal("the same token and key", again.enroll(secret).agent_id, agent.id)
    thief = Agent(service)
    equal("another key", thief.enroll(secret).word, "token-refused")
    equal("alarm", len(service.store.alarms(agent.id, "token_reused")), 1)
    equal("an unknown token", thief.enroll("x" * 20).word, "token-refused")
    again.id = None
    secret2 = keys.read_token(service.new_token(), context.schemas)["secret"]
    equal("a known key", again.enroll(secret2).word, "conflict")


@check("own", "own: rotation: both keys until the new one is used, a known key is a conflict")
def rotation(context, _):
    service, agent, _secret = new(context)
    other = Agent(service)
    other.enroll(keys.read_token(service.new_token(), context.schemas)["secret"])

    def message(key, **claims):
        made = {"v": 1, "iss": agent.id, "aud": ORIGIN, "old": agent.jwk["kid"],
                "new": codec.jwk_of(key)["kid"], "iat": int(time.time()), **claims}
        return {"key": codec.jwk_of(key), "proof": codec.sign(
            key, keys.ROTATION_TYP, codec.jwk_of(key)["kid"], codec.dumps(made).encode())}
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    equal("of another agent", agent.call("rotate-key", message(first, iss=other.id)).word, "malformed")
    equal("a key of another agent", agent.call("rotate-key", message(other.key)).word, "conflict")
    equal("the first", agent.call("rotate-key", message(first)).key, codec.jwk_of(first)["kid"])
    equal("replaced", agent.call("rotate-key", message(second)).key, codec.jwk_of(second)["kid"])
    equal("repeated", agent.call("rotate-key", message(second)).status, 200)
    equal("the first is nobody's", agent.call("reports", REPORTS, key=first).status, 401)
    equal("the old key", agent.call("reports", REPORTS).status, 200)
    equal("the new key", agent.call("reports", REPORTS, key=second).status, 200)
    equal("the old key afterwards", agent.call("reports", REPORTS).word, "proof-refused")


@check("own", "own: recover: what is live, in pages of 200, receipts byte for byte")
def recover(context, _):
    service, agent, _secret = new(context)
    def report(seq, code, kind, grant, **more):
        return {"seq": seq, "at": REPORT["at"], "kind": kind, "code": code, "grant_id": f"g-{grant:04}", **more}
    for start in range(0, 450, 100):
        batch = []
        for nr in range(start, min(start + 100, 450)):
            service.store.run("INSERT INTO jobs (agent, job_id, jws) VALUES (?,?,'')", agent.id, f"j-{nr}")
            batch.append(report(nr, "granted", "result", nr, job_id=f"j-{nr}", integration="acme",
                                account={"email": "ada@example.com"}, role="Help Desk", ends_at=REPORT["at"],
                                receipt=f"r1.é{nr}"))
        equal("acked", len(agent.call("reports", {"reports": batch}).acked), len(batch))
    agent.call("reports", {"reports": [report(1000 + nr, "grant_ended", "event", nr, reason="expired")
                                       for nr in range(20)]})
    found, ask = [], {"reason": "empty_ledger", "ledger_created_at": REPORT["at"]}
    for size in (200, 200, 30):
        answer = agent.call("recover", ask)
        equal("page", len(answer.grants), size)
        found += answer.grants
        ask["cursor"] = getattr(answer, "cursor", None)
    equal("no cursor at the end", ask["cursor"], None)
    equal("all of them", [(g["grant_id"], g["receipt"]) for g in found],
          [(f"g-{nr:04}", f"r1.é{nr}") for nr in range(20, 450)])


@check("own", "own: a big inventory: pages, hashes, what changed, what is gone")
def big_inventory(context, _):
    service, agent, _secret = new(context)
    people = [{"account": {"id": f"{nr:024x}", "email": f"u{nr}@example.com", "suspended": nr % 7 == 0}}
              for nr in range(5030)]

    def send(items, snapshot, complete=True, spoil=False):
        pages = [{"kind": "accounts", "index": nr, "hash": inventory.page_hash(items[at:at + 200]),
                  "items": items[at:at + 200]} for nr, at in enumerate(range(0, len(items), 200))]
        base = {"integration": "acme", "snapshot": snapshot, "taken_at": REPORT["at"], "complete": complete}
        bare = [{k: v for k, v in page.items() if k != "items"} for page in pages]
        missing = agent.call("inventory", {**base, "pages": bare}).missing
        left = [page for page in pages if page["hash"] in missing]
        if spoil:
            left[0] = {**left[0], "items": left[0]["items"][:-1]}
        again = [h for at in range(0, len(left), 5)
                 for h in agent.call("inventory", {**base, "pages": left[at:at + 5]}).missing]
        return len(missing), len(again)
    equal("all are missing, one does not fit its hash", send(people, "s1", spoil=True), (26, 1))
    equal("that one only", send(people, "s2"), (1, 0))
    equal("nothing", send(people, "s3"), (0, 0))
    people[777]["account"]["suspended"] = "x" == "y"
    people[777]["account"]["email"] = "changed@example.com"
    equal("what changed", send(people, "s4"), (1, 0))
    equal("as sent", inventory.items(service.store, agent.id, "acme", "accounts"), people)
    send(people[:400], "s5", complete=False)
    equal("an incomplete listing takes nothing away",
          len(inventory.items(service.store, agent.id, "acme", "accounts")), 5030)
    send(people[:400], "s6")
    equal("what is gone", inventory.items(service.store, agent.id, "acme", "accounts"), people[:400])


@check("own", "own: clones, restarts, lower epochs")
def clones(context, _):
    service, agent, _secret = new(context)
    def speak(instance, epoch):
        agent.instance, agent.epoch = instance, epoch
        equal("taken", agent.call("reports", REPORTS).status, 200)
        return [len(service.store.alarms(agent.id, sign)) for sign in ("clone", "lower_epoch")]
    equal("first", speak("a", 1), [0, 0])
    equal("a start without a trace", speak("b", 1), [0, 0])
    equal("two machines", speak("a", 1), [1, 0])
    equal("the other again", speak("b", 1), [1, 0])
    equal("once for each", speak("a", 1), [1, 0])
    equal("a restart", speak("c", 2), [1, 0])
    equal("a lower epoch", speak("a", 1), [1, 1])
    equal("once", speak("a", 1), [1, 1])
