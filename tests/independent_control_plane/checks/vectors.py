"""The published test vectors, with this implementation."""
import base64
import dataclasses
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import codec, inventory, jobs, keys, proofs
from control_plane.service import Service, secret_hash
from control_plane.store import Store

from .framework import Failed, check, equal, true

SEEDS = {"root": 1, "job": 2, "stranger": 3, "agent": 4, "next": 5, "another job": 6}
REFUSALS = (codec.Malformed, codec.BadSignature, codec.UnknownKey, proofs.ProofRefused)


def seed(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([SEEDS[name]]) * 32)


def vectors(context, name: str) -> dict:
    return json.loads((context.protocol / f"vectors/{name}.json").read_text())


def accepted(function, *args):
    """The value, or None if it was refused."""
    try:
        return function(*args)
    except REFUSALS:
        return None


def each(cases, judge):
    wrong = [f"{case['name']}: {judge(case)}" for case in cases if judge(case) is not None]
    if wrong:
        raise Failed("; ".join(wrong))


def differs(found, expected):
    return None if found == expected else f"expected {expected!r}, found {found!r}"


@check("vectors", "vectors: thumbprints")
def thumbprints(context, _):
    each(vectors(context, "thumbprints")["cases"],
         lambda case: differs(accepted(codec.thumbprint, case["jwk"]), case.get("thumbprint")))


@check("vectors", "vectors: agent tokens")
def agent_tokens(context, _):
    def judge(case):
        found = accepted(keys.read_token, case["token"], context.schemas)
        if case["accepted"] and case["name"] == "https":
            made = keys.make_token(found["url"], found["secret"], found["root"])
            if made != case["token"]:
                return "our own token has other bytes"
        return differs(found and found["url"], case.get("url"))
    each(vectors(context, "agent-tokens")["cases"], judge)


@check("vectors", "vectors: key sets")
def key_sets(context, _):
    data = vectors(context, "key-sets")
    root = codec.jwk_of(seed("root"))
    held = keys.read_key_set(data["held"], root, data["pinned_root"], context.schemas)

    def judge(case):
        def take():
            shown = keys.read_key_set(case["key_set"], case["root"], data["pinned_root"], context.schemas)
            keys.newer_key_set(held, shown)
            return shown["version"]
        return differs(accepted(take), case.get("version"))
    each(data["cases"], judge)


@check("vectors", "vectors: proofs")
def proofs_(context, _):
    data = vectors(context, "proofs")
    known = {codec.thumbprint(data["agent_key"]): data["agent_key"]}

    def judge(case):
        def take():
            claims, _kid = proofs.check_signature(case["proof"], known, context.schemas)
            proofs.check_request(claims, case["origin"], case["method"], case["path"],
                                 case["body"].encode())
            return True
        return differs(bool(accepted(take)), case["accepted"])
    each(data["cases"], judge)


@check("vectors", "vectors: jobs, judged as an agent has to and signed byte for byte")
def jobs_(context, _):
    data = vectors(context, "jobs")
    root = codec.jwk_of(seed("root"))
    held = keys.read_key_set(data["key_set"], root, codec.thumbprint(data["root"]), context.schemas)
    view = jobs.View(data["agent_id"], {codec.name_of(k): k for k in held["keys"]}, data["now"],
                     data["ledger_created_at"], context.schemas)

    def judge(case):
        then = dataclasses.replace(view, now=case.get("now", view.now))
        verdict, expect = jobs.judge(case["jws"], then), case["expect"]
        found = {"accepted": verdict.code == "accepted", "code": verdict.code, "rule": verdict.rule,
                 "job_id": verdict.job_id, "digest": verdict.digest}
        wanted = {"accepted": expect["accepted"], "code": expect.get("code", "accepted"),
                  "rule": expect.get("rule"), "job_id": expect.get("job_id"),
                  "digest": expect.get("digest")}
        if expect["accepted"] and jobs.sign_job(seed("job"), "jobs-2026-11", verdict.claims) != case["jws"]:
            return "our own signature has other bytes"
        return differs(found, wanted)
    each(data["cases"], judge)


@check("vectors", "vectors: rotations")
def rotations(context, _):
    data = vectors(context, "rotations")
    old = codec.thumbprint(data["old"])
    each(data["cases"], lambda case: differs(bool(accepted(
        keys.check_rotation, case["request"], data["agent_id"], data["origin"], old, context.schemas)),
        case["accepted"]))


@check("vectors", "vectors: inventory hashes")
def hashes(context, _):
    each(vectors(context, "inventory")["cases"], lambda case: differs(
        (inventory.canonical(case["items"]).decode(), inventory.page_hash(case["items"])),
        (case["canonical"], case["hash"])))


class Scripted:
    """The nonces of the walkthrough, in its order."""
    window_s = 300

    def __init__(self):
        self.known = ["n-1"]

    def current(self):
        return self.known[-1]

    def fresh(self, nonce):
        return nonce in self.known[-2:]


@check("vectors", "vectors: the session of the walkthrough, replayed against this control plane")
def session(context, _):
    data = vectors(context, "session")
    now = [0]
    service = Service(Store(":memory:"), context.schemas, "https://cp.example.com", seed("root"),
                      seed("job"), "jobs-2026-11", clock=lambda: now[0])
    service.new_agent_id = lambda: data["agent_id"]
    service.nonces = nonces = Scripted()
    first = codec.jwk_of(seed("job"), "jobs-2026-11")
    second = codec.jwk_of(seed("another job"), "jobs-2027-01")
    service.publish([first], version=3, iat=1795499000)
    token = keys.read_token(data["agent_token"], context.schemas)
    service.store.run("INSERT INTO tokens VALUES (?,NULL,NULL)", secret_hash(token["secret"]))
    for step in data["exchanges"]:
        now[0], expected, name = step["now"], json.loads(step["answer"]), step["name"]
        if name == "A nonce that is too old":
            nonces.known += ["n-2", "n-3"]
        if name == "Keys are to change":
            spare = json.loads(base64.urlsafe_b64decode(expected["key_set"].split(".")[1] + "=="))
            service.publish([first, second], version=spare["version"], iat=spare["iat"])
            service.store.run("UPDATE agents SET rotate=?", expected["rotate_key"])
        if name == "The new key works":
            service.store.run("UPDATE agents SET rotate=NULL")
        for job in expected.get("jobs", []):
            claims = json.loads(base64.urlsafe_b64decode(job["jws"].split(".")[1] + "=="))
            equal("our signature", service.submit(claims), job["jws"])
        if name == "The inventory is announced":
            page = json.loads(step["body"])["pages"][0]
            service.store.run("INSERT INTO pages VALUES (?,?,?,?,?,?)", data["agent_id"], "acme",
                              page["kind"], page["index"], page["hash"], "[]")
        status, headers, body = service.handle("POST", step["path"], step["authorization"],
                                               step["body"].encode(),
                                               alive=lambda: name != "The repeat")  # no waiting
        answer = json.loads(body)
        for ignored in ("title", "detail"):
            answer.pop(ignored, None), expected.pop(ignored, None)
        equal(name, (status, answer), (step["status"], expected))
        if "nonce" in step:
            equal(f"{name}: nonce", headers["ephemerald-nonce"], step["nonce"])
    true("nothing violated the schemas", not service.violations)
