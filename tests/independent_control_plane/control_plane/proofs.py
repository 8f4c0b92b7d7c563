"""Request proofs and the nonces that make them fresh without a clock."""
import hashlib
import hmac
import os

from . import codec

PROOF_TYP = "ephemerald-proof+jwt"
MAX_BYTES = 4096
WINDOW_S = 120


class ProofRefused(Exception):
    """The text is for our own log only: a stranger is not told."""


class UseNonce(Exception):
    """Repeat it with a fresh nonce."""


class Nonces:
    """An HMAC over the current five minutes; `skip` lets tests grow old faster."""

    def __init__(self, clock, window_s: int = 300):
        self.key, self.clock, self.window_s, self.skip = os.urandom(32), clock, window_s, 0

    def at(self, back: int) -> str:
        index = int(self.clock()) // self.window_s + self.skip - back
        return codec.b64(hmac.digest(self.key, str(index).encode(), hashlib.sha256)[:18])

    def current(self) -> str:
        return self.at(0)

    def fresh(self, nonce: str) -> bool:
        return nonce in (self.at(0), self.at(1))


def peek(jwt: str) -> dict:
    """The claims, without believing them."""
    try:
        return codec.loads_object(codec.split(jwt, MAX_BYTES)[1])
    except codec.Malformed as error:
        raise ProofRefused(str(error)) from None


def check_signature(jwt: str, keys: dict, schemas) -> tuple:
    """The claims and the thumbprint of the key that signed them. keys: {thumbprint: JWK}"""
    try:
        claims = codec.loads_object(codec.verify(jwt, PROOF_TYP, keys, MAX_BYTES))
        kid = codec.loads_object(codec.split(jwt, MAX_BYTES)[0])["kid"]
    except (codec.Malformed, codec.BadSignature, codec.UnknownKey) as error:
        raise ProofRefused(f"signature: {error!r}") from None
    problems = schemas.problems("proof-claims", claims)
    if problems:
        raise ProofRefused("; ".join(problems))
    return claims, kid


def check_request(claims: dict, origin: str, method: str, path: str, body: bytes):
    wanted = {"aud": origin, "htm": method, "htu": origin + path, "body": codec.sha256_b64(body)}
    for name, value in wanted.items():
        if claims[name] != value:
            raise ProofRefused(f"{name} is {claims[name]!r}, not {value!r}")
    if method != "POST" or "?" in path:
        raise ProofRefused("every call is a POST without a query")


def check_fresh(claims: dict, now: float, nonces: Nonces, demanded: bool):
    nonce = claims.get("nonce")
    if nonce is not None:
        if not nonces.fresh(nonce):
            raise UseNonce("the nonce is not fresh")
    elif demanded:
        raise UseNonce("a nonce is demanded")
    elif abs(claims["iat"] - now) > WINDOW_S:
        raise UseNonce("iat is off")
