"""base64url, strict JSON, Ed25519 keys and compact JWS, as the protocol writes them."""
import base64
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_DEPTH = 16
ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


class Malformed(Exception):
    """It is not written as the protocol says."""


class BadSignature(Exception):
    """Its header is not the one expected, or its signature does not verify."""


class UnknownKey(Exception):
    """It names a key that is not known."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Canonical base64url without padding, nothing else."""
    if not ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise Malformed("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise Malformed("stray bits in base64url")
    return data


def dumps(value) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _pairs(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("a key given twice")
    return made


def _whole(text):
    number = int(text)
    if abs(number) >= 2 ** 53:
        raise Malformed("a number beyond 2^53")
    return number


def _never(text):
    raise Malformed(f"not a number: {text}")


def depth(value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def loads(data: bytes, max_depth: int = MAX_DEPTH):
    """Strict: UTF-8, no key twice, not too deep, nothing after the end. Fractions are for the schema."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_pairs, parse_int=_whole,
                           parse_constant=_never)
        dumps(value).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if depth(value) > max_depth:
        raise Malformed("nested too deeply")
    return value


def loads_object(data: bytes) -> dict:
    value = loads(data)
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


def sha256_b64(data: bytes) -> str:
    return b64(hashlib.sha256(data).digest())


def public_x(key: Ed25519PrivateKey) -> str:
    return b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def jwk_of(key: Ed25519PrivateKey, kid: str = None) -> dict:
    bare = {"kty": "OKP", "crv": "Ed25519", "x": public_x(key)}
    return {**bare, "kid": kid or thumbprint(bare), "alg": "EdDSA", "use": "sig"}


def public_of(jwk: dict) -> Ed25519PublicKey:
    if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise Malformed("not an Ed25519 key")
    if jwk.get("alg", "EdDSA") != "EdDSA" or jwk.get("use", "sig") != "sig":
        raise Malformed("a key for another purpose")
    raw = unb64(jwk["x"]) if isinstance(jwk.get("x"), str) else b""
    if len(raw) != 32:
        raise Malformed("an Ed25519 key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(raw)


def thumbprint(jwk: dict) -> str:
    """RFC 7638 with SHA-256."""
    public_of(jwk)
    return sha256_b64(('{"crv":"Ed25519","kty":"OKP","x":"%s"}' % jwk["x"]).encode())


def name_of(jwk: dict) -> str:
    return jwk.get("kid") or thumbprint(jwk)


def sign_parts(key: Ed25519PrivateKey, header: bytes, payload: bytes) -> str:
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(key.sign(signed.encode()))}"


def sign(key: Ed25519PrivateKey, typ: str, kid: str, payload: bytes) -> str:
    header = {"alg": "EdDSA", "typ": typ, "kid": kid}
    return sign_parts(key, dumps(header).encode(), payload)


def split(jws: str, max_bytes: int):
    """The three parts, decoded. Nothing in them is believed yet."""
    parts = jws.split(".")
    if len(jws.encode()) > max_bytes:
        raise Malformed("too long")
    if len(parts) != 3:
        raise Malformed("not three parts")
    return tuple(unb64(part) for part in parts)


def verify(jws: str, typ: str, keys: dict, max_bytes: int) -> bytes:
    """The payload of a compact JWS by one of `keys` (kid: JWK)."""
    raw_header, payload, signature = split(jws, max_bytes)
    try:
        header = loads_object(raw_header)
    except Malformed as error:
        raise BadSignature(f"header: {error}") from None
    if set(header) != {"alg", "typ", "kid"} or header["alg"] != "EdDSA" or header["typ"] != typ:
        raise BadSignature("not the protected header of this kind of object")
    if not isinstance(header["kid"], str) or header["kid"] not in keys:
        raise UnknownKey(str(header["kid"]))
    try:
        public_of(keys[header["kid"]]).verify(signature, jws.rpartition(".")[0].encode())
    except InvalidSignature:
        raise BadSignature("the signature does not verify") from None
    return payload
