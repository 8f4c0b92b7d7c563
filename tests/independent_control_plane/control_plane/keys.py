"""Agent tokens, the root key's key sets, and the agent's change of key."""
import ipaddress
from urllib.parse import urlsplit

from . import codec
from .codec import Malformed

KEYS_TYP = "ephemerald-keys+jws"
ROTATION_TYP = "ephemerald-rotation+jws"
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


def check_origin(url: str) -> str:
    """https (or http on loopback), lower case, no default port, nothing after the host."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise Malformed("not a port") from None
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    default = {"https": 443, "http": 80}.get(parts.scheme)
    made = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if made != url or url != url.lower() or "@" in url or not host or default in (None, port):
        raise Malformed("not an origin as proofs name it")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise Malformed("plain http is for loopback only")
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:-1])
    return url


def make_token(url: str, secret: str, root: str) -> str:
    text = codec.dumps({"root": root, "secret": secret, "url": check_origin(url)})
    return "eph1." + codec.b64(text.encode())


def read_token(token: str, schemas) -> dict:
    prefix, _, rest = token.strip().partition(".")
    if prefix != "eph1":
        raise Malformed("not an agent token")
    found = codec.loads_object(codec.unb64(rest))
    if schemas.problems("agent-token", found):
        raise Malformed("not what an agent token holds")
    check_origin(found["url"])
    return found


def sign_key_set(root, version: int, iat: int, keys: list) -> str:
    payload = codec.dumps({"v": 1, "version": version, "iat": iat, "keys": keys}).encode()
    return codec.sign(root, KEYS_TYP, codec.jwk_of(root)["kid"], payload)


def read_key_set(jws: str, root_jwk: dict, pinned_root: str, schemas) -> dict:
    """A key set as an agent would take it: its claims, if the pinned root has signed them."""
    if codec.thumbprint(root_jwk) != pinned_root:
        raise codec.UnknownKey("not the pinned root")
    claims = codec.loads_object(codec.verify(jws, KEYS_TYP, {pinned_root: root_jwk}, 16 * 1024))
    if schemas.problems("key-set-claims", claims):
        raise Malformed("not the claims of a key set")
    names = [codec.name_of(key) for key in claims["keys"]]
    for key in claims["keys"]:
        codec.public_of(key)
    if len(set(names)) != len(names):
        raise Malformed("a key named twice")
    return claims


def newer_key_set(held: dict, shown: dict) -> bool:
    """Whether `shown` replaces `held`; an error if it never may."""
    if shown["version"] < held["version"]:
        raise Malformed("an older key set")
    if shown["version"] == held["version"] and shown["keys"] != held["keys"]:
        raise Malformed("other keys under the same version")
    return shown["version"] > held["version"]


def check_rotation(request: dict, agent_id: str, origin: str, old: str, schemas) -> str:
    """The thumbprint of the new key, if the request to take it is in order."""
    new = codec.thumbprint(request["key"])
    try:
        payload = codec.verify(request["proof"], ROTATION_TYP, {new: request["key"]}, 4096)
    except (codec.BadSignature, codec.UnknownKey) as error:
        raise Malformed(f"proof: {error}") from None
    claims = codec.loads_object(payload)
    wanted = {"iss": agent_id, "aud": origin, "old": old, "new": new}
    if schemas.problems("rotation-claims", claims) or new == old:
        raise Malformed("not the claims of a rotation")
    if any(claims[name] != value for name, value in wanted.items()):
        raise Malformed("a rotation of something else")
    return new
