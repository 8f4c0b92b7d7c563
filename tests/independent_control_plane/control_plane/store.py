"""What must outlive a restart, in SQLite. One connection, used under its lock."""
import json
import sqlite3
import threading
import time

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, thumbprint TEXT, agent TEXT);
CREATE TABLE IF NOT EXISTS agents (id TEXT PRIMARY KEY, name TEXT, key TEXT, next_key TEXT,
  offers TEXT, key_set_version INTEGER, rotate TEXT, journal_seq INTEGER, journal_hash TEXT,
  epoch INTEGER DEFAULT 0, status TEXT, status_at REAL);
CREATE TABLE IF NOT EXISTS instances (agent TEXT, epoch INTEGER, instance TEXT, nr INTEGER,
  alarmed INTEGER DEFAULT 0, PRIMARY KEY (agent, epoch, instance));
CREATE TABLE IF NOT EXISTS jtis (agent TEXT, jti TEXT, at REAL, PRIMARY KEY (agent, jti));
CREATE TABLE IF NOT EXISTS jobs (nr INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT, job_id TEXT,
  jws TEXT, lease_until REAL DEFAULT 0, handed_out INTEGER DEFAULT 0, beats INTEGER DEFAULT 0,
  cancelled INTEGER DEFAULT 0, done INTEGER DEFAULT 0, UNIQUE (agent, job_id));
CREATE TABLE IF NOT EXISTS reports (agent TEXT, seq INTEGER, job_id TEXT, grant_id TEXT, kind TEXT,
  code TEXT, body TEXT, PRIMARY KEY (agent, seq));
CREATE TABLE IF NOT EXISTS grants (agent TEXT, grant_id TEXT, state TEXT, integration TEXT,
  account TEXT, role TEXT, ends_at TEXT, receipt TEXT, PRIMARY KEY (agent, grant_id));
CREATE TABLE IF NOT EXISTS pages (agent TEXT, integration TEXT, kind TEXT, idx INTEGER, hash TEXT,
  items TEXT, PRIMARY KEY (agent, integration, kind, idx));
CREATE TABLE IF NOT EXISTS alarms (at REAL, agent TEXT, sign TEXT, detail TEXT);
"""


class Store:
    def __init__(self, path: str):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.executescript(SCHEMA)

    def run(self, sql: str, *values) -> int:
        with self.lock:
            return self.db.execute(sql, values).rowcount

    def rows(self, sql: str, *values) -> list:
        with self.lock:
            return self.db.execute(sql, values).fetchall()

    def row(self, sql: str, *values):
        found = self.rows(sql, *values)
        return found[0] if found else None

    def value(self, sql: str, *values):
        found = self.row(sql, *values)
        return found[0] if found else None

    def close(self):
        with self.lock:
            self.db.close()

    def get_meta(self, name: str, default=None):
        found = self.value("SELECT value FROM meta WHERE name=?", name)
        return default if found is None else json.loads(found)

    def set_meta(self, name: str, value):
        self.run("REPLACE INTO meta VALUES (?,?)", name, json.dumps(value))

    def alarm(self, agent: str, sign: str, detail: str = ""):
        self.run("INSERT INTO alarms VALUES (?,?,?,?)", time.time(), agent, sign, detail)

    def alarms(self, agent: str, sign: str) -> list:
        return [r["detail"] for r in
                self.rows("SELECT detail FROM alarms WHERE agent=? AND sign=?", agent, sign)]

    def first_use(self, agent: str, jti: str, now: float, keep_s: float) -> bool:
        """Remembers the jti; false if it was there already."""
        with self.lock:
            self.run("DELETE FROM jtis WHERE at<?", now - keep_s)
            return self.run("INSERT OR IGNORE INTO jtis VALUES (?,?,?)", agent, jti, now) == 1

    def reports(self, agent: str, where: str = "1", *values) -> list:
        found = self.rows(f"SELECT body FROM reports WHERE agent=? AND {where} ORDER BY seq",
                          agent, *values)
        return [json.loads(row["body"]) for row in found]
