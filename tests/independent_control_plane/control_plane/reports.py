"""Results and events: stored durably, once each, and what they say about grants."""
from . import codec

STRANGE = {"bad_signature", "unknown_key", "wrong_agent", "malformed"}
ALARMS = {"revocation_overdue", "grant_reappeared"}


def store_report(store, agent: str, report: dict) -> bool:
    """False if it was there already. Durable when this returns."""
    fresh = store.run("INSERT OR IGNORE INTO reports VALUES (?,?,?,?,?,?,?)", agent, report["seq"],
                      report.get("job_id"), report.get("grant_id"), report["kind"], report["code"],
                      codec.dumps(report)) == 1
    if not fresh:
        return False
    code = report["code"]
    if report.get("rule") in STRANGE:
        store.alarm(agent, report["rule"], report.get("job_id", ""))
    if code in ALARMS or report.get("reason") in ("superseded", "revoked_externally"):
        store.alarm(agent, report.get("reason", code), report.get("grant_id", ""))
    if report["kind"] == "result":
        store.run("UPDATE jobs SET done=1 WHERE agent=? AND job_id=?", agent, report.get("job_id"))
    _grant(store, agent, report)
    return True


def never_ours(store, agent: str, report: dict):
    """Why a report will never be taken; None if it fits."""
    if report["kind"] != "result" or report.get("rule") in STRANGE:
        return None
    if store.row("SELECT 1 FROM jobs WHERE agent=? AND job_id=?", agent, report.get("job_id")) is None:
        return "no such job of this agent"
    return None


def _grant(store, agent: str, report: dict):
    code, grant_id = report["code"], report.get("grant_id")
    if code == "granted":
        store.run("INSERT OR REPLACE INTO grants VALUES (?,?,?,?,?,?,?,?)", agent, grant_id, "live",
                  report["integration"], codec.dumps(report.get("account", {})), report["role"],
                  report["ends_at"], report.get("receipt"))
    elif code == "extended":
        store.run("UPDATE grants SET ends_at=?, receipt=? WHERE agent=? AND grant_id=?",
                  report["ends_at"], report.get("receipt"), agent, grant_id)
    else:
        state = {"grant_ended": "ended", "grant_settled": "settled",
                 "grant_reappeared": "reappeared"}.get(code)
        if state:
            store.run("UPDATE grants SET state=? WHERE agent=? AND grant_id=?", state, agent, grant_id)
