"""The calls of the protocol, apart from HTTP: (method, path, headers, body) -> answer."""
import datetime
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field

from . import calls, clones, codec, jobs, keys, proofs

BODY_LIMIT = 2 * 1024 * 1024
BEAT = re.compile(r"/v1/agent/jobs/([A-Za-z0-9_-][A-Za-z0-9._-]{0,127})/heartbeat")
PATHS = {"/v1/agent/enroll": "enroll", "/v1/agent/jobs/acquire": "acquire",
         "/v1/agent/reports": "reports", "/v1/agent/status": "status",
         "/v1/agent/inventory": "inventory", "/v1/agent/recover": "recover",
         "/v1/agent/rotate-key": "rotate-key"}
TITLES = {400: "Bad request", 401: "Unauthorized", 404: "Not found", 409: "Conflict",
          413: "Too large", 500: "Internal error", 503: "Unavailable"}


class Problem(Exception):
    def __init__(self, status: int, word: str, detail: str, **more):
        super().__init__(detail)
        self.status, self.more = status, more
        self.document = {"type": f"urn:ephemerald:problem:{word}", "title": TITLES[status],
                         "status": status, "detail": detail, **more}


@dataclass
class Settings:
    """What tests turn. The defaults are what one would run."""
    versions: tuple = (1,)
    answer_version: int = None       # a version nobody offered, to see what the agent does
    lease_s: int = 60
    poll_after_s: int = None
    demand_nonce: bool = False
    send_nonce: bool = True
    withhold: object = None          # report -> bool: neither acked nor refused
    refuse: object = None            # report -> reason or None
    spoil: object = None             # (call, answer) -> answer: an answer made wrong on purpose
    missing: set = field(default_factory=set)  # calls that are "not built"


class Service:
    def __init__(self, store, schemas, origin: str, root, job_key, kid: str, clock=time.time):
        self.store, self.schemas, self.origin, self.clock = store, schemas, origin, clock
        self.root, self.root_jwk = root, codec.jwk_of(root)
        self.nonces = proofs.Nonces(clock)
        self.settings = Settings()
        self.violations = []         # requests or answers that do not fit the schemas
        self.refused_proofs = []     # our own log: why
        self.calls = []              # (call, agent, body, status, claims) as they came
        self.injections = []         # deliveries that are no job of ours: forged, altered
        self.closing = False
        self.new_agent_id = lambda: "agent-" + secrets.token_hex(6)
        self.signer = (job_key, kid)
        if store.get_meta("key_set") is None:
            self.publish([codec.jwk_of(job_key, kid)], version=1)

    def now_text(self) -> str:
        at = datetime.datetime.fromtimestamp(self.clock(), datetime.timezone.utc)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # --- what an operator does -----------------------------------------------------------------
    def publish(self, jwks: list, version: int = None, iat: int = None):
        """A new key set under the root key."""
        version = version or self.store.get_meta("key_set_version", 0) + 1
        jws = keys.sign_key_set(self.root, version, int(iat or self.clock()), jwks)
        self.store.set_meta("key_set", jws)
        self.store.set_meta("key_set_version", version)

    def new_token(self, secret: str = None) -> str:
        secret = secret or secrets.token_urlsafe(32)
        self.store.run("INSERT INTO tokens VALUES (?,NULL,NULL)", secret_hash(secret))
        return keys.make_token(self.origin, secret, self.root_jwk["kid"])

    def claims(self, agent: str, job_id: str, integration: str, job: dict, **more) -> dict:
        now = int(self.clock())
        return {"v": 1, "iss": self.origin, "aud": agent, "job_id": job_id, "iat": now,
                "start_by": now + 600, "integration": integration, "job": job, **more}

    def submit(self, claims: dict, queued: bool = True) -> str:
        """Signs a job and queues it for its agent."""
        problems = self.schemas.problems("job-claims", claims)
        if problems:
            raise ValueError(problems)
        jws = jobs.sign_job(*self.signer, claims)
        with self.store.changed:
            self.store.run("INSERT INTO jobs (agent, job_id, jws, lease_until) VALUES (?,?,?,?)",
                           claims["aud"], claims["job_id"], jws, 0 if queued else 1e12)
            self.store.changed.notify_all()
        return jws

    def inject(self, agent: str, job_id: str, jws: str):
        """Hands out a text once, as somebody between could: no lease is kept."""
        with self.store.changed:
            self.injections.append((agent, job_id, jws))
            self.store.changed.notify_all()

    # --- a request -----------------------------------------------------------------------------
    def handle(self, method: str, path: str, authorization: str, body: bytes, alive=lambda: True):
        """(status, headers, body) of the answer."""
        call, job_id = PATHS.get(path), None
        beat = BEAT.fullmatch(path)
        if beat:
            call, job_id = "heartbeat", beat.group(1)
        claims = {}
        try:
            if len(body) > BODY_LIMIT:
                raise Problem(413, "too-large", "more than 2 MiB")
            if call is None or method != "POST":
                raise Problem(404, "not-found", "no such call")
            agent, claims, key, message = self._prove(call, method, path, authorization, body)
            if call in self.settings.missing:
                raise Problem(404, "not-found", "not built")
            if message is None:
                message = self._parse(call, body)
            replaced = clones.seen(self.store, agent, claims["epoch"], claims["instance"]) \
                if call != "enroll" else False
            request = calls.Request(agent, claims, key, message, job_id, replaced, alive)
            answer = getattr(calls, call.replace("-", "_"))(self, request)
            answer["server_time"] = self.now_text()
            if self.settings.spoil:
                answer = self.settings.spoil(call, answer)
            else:
                self._check(f"{call}-answer", self._ours(call, answer))
            status, kind = 200, "application/json"
        except Problem as problem:
            status, kind, answer = problem.status, "application/problem+json", problem.document
            self._check("problem", answer)
        with self.store.changed:
            self.calls.append((call, claims.get("iss"), body, status, claims))
            self.store.changed.notify_all()
        headers = {"Content-Type": kind}
        if self.settings.send_nonce or (status == 401 and answer["type"].endswith("use-nonce")):
            headers["ephemerald-nonce"] = self.nonces.current()
        if status == 503:
            headers["Retry-After"] = "1"
        return status, headers, codec.dumps(answer).encode()

    def _ours(self, call: str, answer: dict) -> dict:
        """Without what tests have injected, which may be anything."""
        if call != "acquire" or not answer["jobs"]:
            return answer
        signed = {row["jws"] for row in self.store.rows("SELECT jws FROM jobs WHERE handed_out>0")}
        return {**answer, "jobs": [job for job in answer["jobs"] if job["jws"] in signed]}

    def _check(self, name: str, value):
        self.violations += [f"our answer: {text}" for text in self.schemas.problems(name, value)]

    def _parse(self, call: str, body: bytes) -> dict:
        try:
            message = codec.loads_object(body)
        except codec.Malformed as error:
            raise Problem(400, "malformed", f"the body: {error}") from None
        problems = self.schemas.problems(f"{call}-request", message)
        if problems:
            self.violations += [f"the agent's {text}" for text in problems]
            raise Problem(400, "malformed", problems[0])
        return message

    def _prove(self, call, method, path, authorization, body):
        try:
            scheme, _, jwt = (authorization or "").partition(" ")
            if scheme != "Agent" or not jwt:
                raise proofs.ProofRefused("no proof")
            iss, message = proofs.peek(jwt).get("iss"), None
            if call == "enroll":  # the key is in the body, so it is read before it is believed
                message = self._parse(call, body)
                jwk = {name: message["key"][name] for name in ("kty", "crv", "x")}
                known = {codec.thumbprint(jwk): jwk}
                if iss not in known:
                    raise proofs.ProofRefused("iss is not the key's thumbprint")
            else:
                row = self.store.row("SELECT key, next_key FROM agents WHERE id=?", iss)
                if row is None:
                    raise proofs.ProofRefused(f"an unknown agent: {iss}")
                both = [json.loads(text) for text in row if text]
                known = {codec.thumbprint(jwk): jwk for jwk in both}
            claims, kid = proofs.check_signature(jwt, known, self.schemas)
            proofs.check_request(claims, self.origin, method, path, body)
            proofs.check_fresh(claims, self.clock(), self.nonces, self.settings.demand_nonce)
            if not self.store.first_use(iss, claims["jti"], self.clock(), 2 * self.nonces.window_s):
                raise proofs.ProofRefused("a jti seen before")
            if call != "enroll":
                calls.key_used(self, iss, kid)
            return iss, claims, kid, message
        except (proofs.ProofRefused, codec.Malformed) as error:
            self.refused_proofs.append(f"{path}: {error}")
            raise Problem(401, "proof-refused", "the request is not proven") from None
        except proofs.UseNonce as error:
            raise Problem(401, "use-nonce", str(error)) from None


def secret_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
