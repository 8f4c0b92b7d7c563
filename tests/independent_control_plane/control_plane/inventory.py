"""Inventory pages: their hashes, and which of them are still missing."""
import hashlib
import json

from . import codec


def canonical(items: list) -> bytes:
    """RFC 8785 for strings, booleans, lists and objects with ASCII keys, which is all there is."""
    return json.dumps(items, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def page_hash(items: list) -> str:
    return hashlib.sha256(canonical(items)).hexdigest()


def take(store, agent: str, message: dict) -> list:
    """Store the pages that came with items; the hashes that are still lacking."""
    missing = []
    name = message["integration"]
    announced = all("items" not in page for page in message["pages"])
    for page in message["pages"]:
        place = (agent, name, page["kind"], page["index"])
        if "items" in page:
            if page_hash(page["items"]) != page["hash"]:
                store.alarm(agent, "inventory_hash", f"{page['kind']} {page['index']}")
                missing.append(page["hash"])
                continue
            store.run("REPLACE INTO pages VALUES (?,?,?,?,?,?)",
                      *place, page["hash"], codec.dumps(page["items"]))
        elif store.value("SELECT hash FROM pages WHERE agent=? AND integration=? AND kind=? AND idx=?",
                         *place) != page["hash"]:
            missing.append(page["hash"])
    if announced and message["complete"]:
        for kind in ("roles", "accounts", "permissions"):
            count = sum(page["kind"] == kind for page in message["pages"])
            store.run("DELETE FROM pages WHERE agent=? AND integration=? AND kind=? AND idx>=?",
                      agent, name, kind, count)
    return list(dict.fromkeys(missing))


def items(store, agent: str, integration: str, kind: str) -> list:
    rows = store.rows("SELECT items FROM pages WHERE agent=? AND integration=? AND kind=? ORDER BY idx",
                      agent, integration, kind)
    return [item for row in rows for item in json.loads(row["items"])]
