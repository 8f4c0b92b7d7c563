"""Jobs: how they are signed, and (to test with the vectors) how an agent has to judge them."""
import hashlib
import re
from dataclasses import dataclass, field

from . import codec

JOB_TYP = "ephemerald-job+jws"
MAX_BYTES = 64 * 1024
JOB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def sorted_bytes(claims: dict) -> bytes:
    """Any JSON will do; sorted keys give the same bytes as the published vectors."""
    def order(value):
        if isinstance(value, dict):
            return {key: order(value[key]) for key in sorted(value)}
        return [order(item) for item in value] if isinstance(value, list) else value
    return codec.dumps(order(claims)).encode()


def sign_job(key, kid: str, claims: dict) -> str:
    return codec.sign(key, JOB_TYP, kid, sorted_bytes(claims))


@dataclass
class View:
    """What an agent knows when it judges a job."""
    agent_id: str
    keys: dict
    now: int
    ledger_created_at: int
    schemas: object
    start_by_s: int = 604800
    skew_s: int = 120


@dataclass
class Verdict:
    code: str = "accepted"
    rule: str = None
    job_id: str = None
    digest: str = None
    claims: dict = field(default=None, repr=False)


def judge(jws: str, view: View) -> Verdict:
    """In the order of the guide: signature, aud, v, type, fields, times."""
    try:
        payload = codec.verify(jws, JOB_TYP, view.keys, MAX_BYTES)
    except codec.Malformed:
        return Verdict("rejected", "malformed")
    except codec.UnknownKey:
        return Verdict("rejected", "unknown_key")
    except codec.BadSignature:
        return Verdict("rejected", "bad_signature")
    verdict = Verdict(digest=hashlib.sha256(payload).hexdigest())
    try:
        claims = codec.loads_object(payload)
    except codec.Malformed:
        verdict.code, verdict.rule = "rejected", "malformed"
        return verdict
    verdict.claims = claims
    if isinstance(claims.get("job_id"), str) and JOB_ID.fullmatch(claims["job_id"]):
        verdict.job_id = claims["job_id"]
    rule = _rule(claims, view)
    if rule in ("unsupported_job_type", "expired_before_start"):
        verdict.code = rule
    elif rule:
        verdict.code, verdict.rule = "rejected", rule
    return verdict


def _rule(claims: dict, view: View):
    job = claims.get("job")
    if not isinstance(claims.get("aud"), str):
        return "malformed"
    if claims["aud"] != view.agent_id:
        return "wrong_agent"
    if not isinstance(claims.get("v"), int):
        return "malformed"
    if claims["v"] != 1:
        return "unsupported_version"
    kind = job.get("type") if isinstance(job, dict) else None
    if isinstance(kind, str) and kind not in view.schemas.words("job_type"):
        return "unsupported_job_type"
    if view.schemas.problems("job-claims", claims) or not _role_is_fine(job.get("role", "r")):
        return "malformed"
    return None if kind == "revoke" else _time_rule(claims["iat"], claims["start_by"], view)


def _role_is_fine(role: str) -> bool:
    """What the guide says of roles beyond the schema."""
    return len(role.encode()) <= 256 and role == role.strip() and role.isprintable()


def _time_rule(iat: int, start_by: int, view: View):
    if iat < view.ledger_created_at:
        return "issued_before_ledger"
    if iat > view.now + view.skew_s:
        return "issued_in_future"
    if start_by < view.now:
        return "expired_before_start"
    if start_by > view.now + view.start_by_s:
        return "start_by_too_far"
    return "stale" if iat < view.now - view.start_by_s else None
