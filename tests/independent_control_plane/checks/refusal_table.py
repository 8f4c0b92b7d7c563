"""The jobs that an agent has to refuse: name, what is wrong, how it is made, code, rule."""
import base64
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane import codec, jobs

from .rig import OWNER, REQUEST

DAY = 86400
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x33" * 32)
HEADER = '{"alg":"EdDSA","typ":"ephemerald-job+jws","kid":"jobs-1"}'


def text(rig, job=None, change=None, header=HEADER, key=None, payload=None, cut=None, integration="acme"):
    """(job_id, compact JWS) of a grant to u00, made wrong in one way."""
    job_id = rig.id("job")
    claims = rig.cp.claims(rig.agent_id, job_id, integration, job or rig.grant("u00@example.com"))
    if change:
        change(claims)
    data = payload(jobs.sorted_bytes(claims)) if payload else jobs.sorted_bytes(claims)
    jws = codec.sign_parts(key or rig.job_key, header.encode(), data)
    return job_id, cut(jws) if cut else jws


def how(**kinds):
    return lambda rig: text(rig, **kinds)


def job(**fields):
    """A grant with other fields; None takes one out."""
    def make(rig):
        made = {**rig.grant("u00@example.com"), **fields}
        return text(rig, job={k: v for k, v in made.items() if v is not None})
    return make


def claim(**fields):
    def change(claims):
        claims.update(fields)
        for name in [name for name, value in claims.items() if value is None]:
            del claims[name]
    return how(change=change)


def at(**offsets):
    """Instants as seconds from now."""
    return how(change=lambda claims: claims.update(
        {name: int(time.time()) + offset for name, offset in offsets.items()}))


def target(**fields):
    return job(target=fields)


def request(**fields):
    return job(request={k: v for k, v in {**REQUEST, **fields}.items() if v is not None})


def swap(index: int, change):
    def cut(jws):
        parts = jws.split(".")
        parts[index] = change(parts[index])
        return ".".join(parts)
    return how(cut=cut)


def more_power(part: str) -> str:
    data = codec.unb64(part).replace(b"Help Desk", b"Administrator")
    return codec.b64(data)


def stray_bit(part: str) -> str:
    """The same 64 bytes, with a bit set that does not count."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + letters[letters.index(part[-1]) + 1]


def slashes(part: str) -> str:
    return base64.b64encode(codec.unb64(part)).decode().rstrip("=")


def standard_alphabet(rig):
    while True:  # until the signature has a letter that differs between the alphabets
        job_id, jws = text(rig)
        if "-" in jws.split(".")[2] or "_" in jws.split(".")[2]:
            head, _, signature = jws.rpartition(".")
            return job_id, f"{head}.{slashes(signature)}"


def insert(old: bytes, new: bytes):
    return how(payload=lambda data: data.replace(old, new, 1))


def other_envelope(rig):
    return rig.id("job"), text(rig)[1]


def own_by_id(rig):
    return target(account_id=rig.admins()[OWNER]["_id"])(rig)


def excluded_by_id(rig):
    return target(account_id=rig.admins()["excluded@example.com"]["_id"])(rig)


HEADERS = [
    ("alg none", '{"alg":"none","typ":"ephemerald-job+jws","kid":"jobs-1"}'),
    ("alg HS256", '{"alg":"HS256","typ":"ephemerald-job+jws","kid":"jobs-1"}'),
    ("alg Ed25519", '{"alg":"Ed25519","typ":"ephemerald-job+jws","kid":"jobs-1"}'),
    ("alg twice", '{"alg":"none","alg":"EdDSA","typ":"ephemerald-job+jws","kid":"jobs-1"}'),
    ("typ of a proof", '{"alg":"EdDSA","typ":"ephemerald-proof+jwt","kid":"jobs-1"}'),
    ("typ of a key set", '{"alg":"EdDSA","typ":"ephemerald-keys+jws","kid":"jobs-1"}'),
    ("typ in capitals", '{"alg":"EdDSA","typ":"EPHEMERALD-JOB+JWS","kid":"jobs-1"}'),
    ("no typ", '{"alg":"EdDSA","kid":"jobs-1"}'),
    ("no kid", '{"alg":"EdDSA","typ":"ephemerald-job+jws"}'),
    ("crit", HEADER[:-1] + ',"crit":["exp"],"exp":1}'),
    ("a jwk", HEADER[:-1] + ',"jwk":{"kty":"OKP","crv":"Ed25519","x":"%s"}}' % codec.public_x(STRANGER)),
    ("b64 false", HEADER[:-1] + ',"b64":false}'),
]

R, M = "rejected", "malformed"
SIGNATURE = [
    ("altered", "the role is exchanged after signing", swap(1, more_power), R, "bad_signature"),
    ("no signature", "the third part is empty", swap(2, lambda _: ""), R, "bad_signature"),
    ("short signature", "63 bytes", swap(2, lambda s: codec.b64(codec.unb64(s)[:63])), R, "bad_signature"),
    ("forged", "a stranger signs under our kid", how(key=STRANGER), R, "bad_signature"),
    ("unknown kid", "a stranger signs under a kid of its own",
     how(key=STRANGER, header=HEADER.replace("jobs-1", "jobs-2")), R, "unknown_key"),
    ("root as signer", "the root key signs a job", lambda rig: text(
        rig, key=rig.root, header=HEADER.replace("jobs-1", rig.cp.root_jwk["kid"])), R, "unknown_key"),
    *[(f"header: {name}", "the protected header", how(header=header), R, "bad_signature")
      for name, header in HEADERS],
    ("padding", "= at the end", swap(2, lambda s: s + "=="), R, M),
    ("stray bit", "not canonical base64url", swap(2, stray_bit), R, M),
    ("standard alphabet", "+ and / in the signature", standard_alphabet, R, M),
    ("two parts", "no signature part", how(cut=lambda s: s.rpartition(".")[0]), R, M),
    ("four parts", "one part too many", how(cut=lambda s: s + ".AA"), R, M),
    ("not a JWS", "three words", how(cut=lambda _: "grant.me.access!"), R, M),
    ("too long", "beyond 64 KiB", request(justification="x" * 66000), R, M),
]
CLAIMS = [
    ("another agent", "aud", claim(aud="agent-other"), R, "wrong_agent"),
    ("version 2", "v", claim(v=2), R, "unsupported_version"),
    ("version as text", "v is a string", claim(v="1"), R, M),
    ("no aud", "a field is missing", claim(aud=None), R, M),
    ("no start_by", "a field is missing", claim(start_by=None), R, M),
    ("no iat", "a field is missing", claim(iat=None), R, M),
    ("no iss", "a field is missing", claim(iss=None), R, M),
    ("no integration", "a field is missing", claim(integration=None), R, M),
    ("no role", "a field is missing", job(role=None), R, M),
    ("no duration", "a field is missing", job(duration_s=None), R, M),
    ("no request", "a field is missing", job(request=None), R, M),
    ("no grant id", "a field is missing", job(grant_id=None), R, M),
    ("unknown claim", "exp beside iat", claim(exp=1), R, M),
    ("unknown field of the job", "force", job(force=True), R, M),
    ("unknown field of the request", "approved", request(approved=True), R, M),
    ("unknown field of the target", "org", target(email="u00@example.com", org="x"), R, M),
    ("two targets", "e-mail and account id", target(email="u00@example.com", account_id="5f"), R, M),
    ("no target", "an empty object", job(target={}), R, M),
    ("a key twice", "role", insert(b'"role":', b'"role":"Read Only","role":'), R, M),
    ("a key twice, escaped", "r\\u006fle", insert(b'"role":', b'"r\\u006fle":"Read Only","role":'), R, M),
    ("a key twice, above", "aud", insert(b'{"aud":', b'{"aud":"agent-other","aud":'), R, M),
    ("null", "until is null", insert(b'"type":"grant"', b'"type":"grant","until":null'), R, M),
    ("an exponent", "6e2 seconds", insert(b'"duration_s":600', b'"duration_s":6e2'), R, M),
    ("a fraction", "600.0 seconds", insert(b'"duration_s":600', b'"duration_s":600.0'), R, M),
    ("text after the end", "a second object", how(payload=lambda data: data + b"{}"), R, M),
    ("byte order mark", "before the payload", how(payload=lambda data: b"\xef\xbb\xbf" + data), R, M),
    ("not UTF-8", "a lone byte in the role", insert(b"Help Desk", b"Help\xffDesk"), R, M),
    ("not JSON", "a query string", how(payload=lambda _: b"grant=1"), R, M),
    ("nested too deeply", "40 lists", insert(b'"duration_s":600', b'"duration_s":' + b"[" * 40 + b"]" * 40),
     R, M),
    ("duration 0", "below the minimum", job(duration_s=0), R, M),
    ("negative duration", "-600", job(duration_s=-600), R, M),
    ("duration as text", "\"600\"", job(duration_s="600"), R, M),
    ("duration beyond 2^53", "a huge number", job(duration_s=2 ** 53), R, "duration_too_long"),
    ("duration beyond 2^64", "a huger number", job(duration_s=2 ** 64 + 600), R, M),
    ("line break in the address", "a header smuggled in", target(email="u00@example.com\r\nBcc: x@y.z"), R, M),
    ("name before the address", "Ada <…>", target(email="Ada <u00@example.com>"), R, M),
    ("query in the account id", "5f?x=1", target(account_id="5f?x=1"), R, M),
    ("path in the account id", "../users", target(account_id="../users"), R, M),
    ("path in the grant id", "../admin", job(grant_id="../admin"), R, M),
    ("grant id too long", "129 characters", job(grant_id="g" * 129), R, M),
    ("dot before the integration", ".acme", claim(integration=".acme"), R, M),
    ("role with a space at its end", "\"Help Desk \"", job(role="Help Desk "), R, M),
    ("role with a control character", "a tab", job(role="Help\tDesk"), R, M),
    ("role too long", "257 bytes", job(role="x" * 257), R, M),
    ("33 approvers", "beyond the limit", request(approvers=["a@example.com"] * 33), R, M),
    ("number too long", "129 characters", request(number="1" * 129), R, M),
    ("justification too long", "4097 characters", request(justification="x" * 4097), R, M),
    ("approvers as text", "not a list", request(approvers="grace@example.com"), R, M),
    ("another envelope", "the delivery's job_id is not the signed one", other_envelope, R, M),
    ("unknown job type", "lend", job(type="lend"), "unsupported_job_type", None),
    ("issued in the future", "iat in 5 minutes", at(iat=300, start_by=600), R, "issued_in_future"),
    ("issued before the ledger", "iat an hour ago", at(iat=-3600), R, "issued_before_ledger"),
    ("start-by is over", "a second ago", at(start_by=-1), "expired_before_start", None),
    ("start-by too far", "in 8 days", at(start_by=8 * DAY), R, "start_by_too_far"),
    ("`until` is over", "the end is before the start",
     lambda rig: job(until=int(time.time()) - 60)(rig), "expired_before_start", None),
]
POLICY = [
    ("unknown integration", "other", claim(integration="other"), R, "unknown_integration"),
    ("role not in the policy", "Read Only", job(role="Read Only"), R, "role_not_grantable"),
    ("role in other letters", "help desk", job(role="help desk"), R, "role_not_grantable"),
    ("role that manages administrators", "not in the policy", job(role="Administrator With Billing"),
     R, "role_manages_admins"),
    ("role that does not exist", "in the policy only", job(role="No Such Role"), R, "role_unknown"),
    ("too long for the role", "3601 s of 1 h", job(duration_s=3601), R, "duration_too_long"),
    ("too long for all", "7201 s of 2 h", job(role="Manager", duration_s=7201), R, "duration_too_long"),
    ("protected", "by the policy", target(email="protected@example.com"), R, "protected_account"),
    ("protected, in capitals", "by the policy", target(email="PROTECTED@Example.com"), R, "protected_account"),
    ("excluded", "by the integration", target(email="excluded@example.com"), R, "protected_account"),
    ("excluded, by its id", "by the integration", excluded_by_id, R, "protected_account"),
    ("denied", "by the policy", target(email="denied@example.com"), R, "account_not_allowed"),
    ("denied domain", "by the policy", target(email="someone@denied.example"), R, "account_not_allowed"),
    ("own account", "the credential's", target(email=OWNER), R, "own_account"),
    ("own account, by its id", "the credential's", own_by_id, R, "own_account"),
    ("nobody", "no such address", target(email="nobody@example.com"), R, "account_not_found"),
    ("nobody, by an id", "no such id", target(account_id="5f5f5f5f5f5f5f5f5f5f5f5f"), R, "account_not_found"),
    ("suspended", "in JumpCloud", target(email="suspended@example.com"), R, "account_suspended"),
    ("several roles", "mode single", target(email="twice@example.com"), R, "several_roles"),
    ("incomparable", "Read Only and Command Runner", job(role="Command Runner"), "conflict",
     "roles_incomparable"),
    ("foreign mailbox", "domain of an ephemeral account",
     target(ephemeral={"requester": "ada@example.org"}), R, "domain_not_allowed"),
    ("mailbox in a sub-domain", "domain of an ephemeral account",
     target(ephemeral={"requester": "ada@x.example.com"}), R, "domain_not_allowed"),
    ("no request number", "the policy requires it", request(number=None), R, "request_number_required"),
    ("blank request number", "only a space", request(number=" "), R, "request_number_required"),
    ("no justification", "the policy requires it", request(justification=None), R, "justification_required"),
    ("blank justification", "only spaces", request(justification="  "), R, "justification_required"),
    ("no approvers", "one is required", request(approvers=[]), R, "approvers_required"),
    ("an empty approver", "an empty text is nobody", request(approvers=[""]), R, "approvers_required"),
    ("a blank approver", "a space is nobody", request(approvers=[" "]), R, "approvers_required"),
    ("requester is the approver", "the same address", request(approvers=["ada@example.com"]),
     R, "requester_is_approver"),
    ("requester approves in capitals", "the same address", request(approvers=["ADA@example.COM"]),
     R, "requester_is_approver"),
    ("requester among the approvers", "second of two",
     request(approvers=["grace@example.com", "ada@example.com"]), R, "requester_is_approver"),
    ("requester not named", "it may be the approver", request(requester=None), R, "requester_is_approver"),
    ("revoke of nothing", "no such grant",
     how(job={"type": "revoke", "grant_id": "grant-none"}), R, "unknown_grant"),
    ("extend of nothing", "no such grant", how(job={
        "type": "extend", "grant_id": "grant-none", "duration_s": 900, "request": REQUEST}), R, "unknown_grant"),
    ("revoke for another agent", "aud", how(job={"type": "revoke", "grant_id": "grant-none"},
                                          change=lambda c: c.update(aud="agent-other")), R, "wrong_agent"),
    ("revoke with an unknown field", "force", how(
        job={"type": "revoke", "grant_id": "grant-none", "force": True}), R, M),
]
