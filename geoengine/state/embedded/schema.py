"""The tables of the embedded state. A change here raises `FORMAT`."""

APPLICATION_ID = 0x67656F65  # "geoe": tells our files from other people's databases
FORMAT = 1

TABLES = """
CREATE TABLE people (
    person_id TEXT PRIMARY KEY, version INTEGER NOT NULL, due_ms INTEGER, flags INTEGER NOT NULL,
    packed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE aliases (name TEXT PRIMARY KEY, person_id TEXT NOT NULL) WITHOUT ROWID;
-- Rows of the outbox carry a whole message: too wide for a table without rowid.
CREATE TABLE sends (
    seq INTEGER PRIMARY KEY, send_id TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL,
    lever TEXT NOT NULL, due_ms INTEGER NOT NULL, packed BLOB NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, settled_ms INTEGER
);
CREATE INDEX sends_of_person ON sends (person_id);
CREATE INDEX sends_pending ON sends (seq) WHERE status = 'pending';
CREATE INDEX sends_dead ON sends (seq) WHERE status = 'dead';
CREATE INDEX sends_settled ON sends (settled_ms) WHERE settled_ms IS NOT NULL;
CREATE TABLE decisions (
    person_id TEXT NOT NULL, at_ms INTEGER NOT NULL, seq INTEGER NOT NULL, packed BLOB NOT NULL,
    PRIMARY KEY (person_id, at_ms, seq)
) WITHOUT ROWID;
CREATE INDEX decisions_by_age ON decisions (at_ms);
-- Digests, so that no operation id can name anybody.
CREATE TABLE ops (seq INTEGER PRIMARY KEY, op BLOB NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE last_fixes (chunk INTEGER PRIMARY KEY, packed BLOB NOT NULL);
"""

PUT_PERSON = """
INSERT INTO people (person_id, version, due_ms, flags, packed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, due_ms = excluded.due_ms,
    flags = excluded.flags, packed = excluded.packed
"""
DROP_PERSON = "DELETE FROM people WHERE person_id = ?"
PUT_ALIAS = "INSERT OR REPLACE INTO aliases (name, person_id) VALUES (?, ?)"
DROP_ALIAS = "DELETE FROM aliases WHERE name = ?"
ADD_SEND = """
INSERT INTO sends (send_id, person_id, lever, due_ms, packed, status, reason, settled_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (send_id) DO NOTHING RETURNING send_id
"""
POSTPONE = "UPDATE sends SET due_ms = ?, packed = ? WHERE send_id = ? AND status = 'pending'"
END = """
UPDATE sends SET status = ?, reason = ?, settled_ms = ?, packed = coalesce(?, packed)
WHERE send_id = ?
"""
CANCEL = END + " AND status = 'pending'"
ADD_DECISION = "INSERT INTO decisions (person_id, at_ms, seq, packed) VALUES (?, ?, ?, ?)"
PUT_NOTE = "INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)"
ADD_OP = "INSERT INTO ops (op, at_ms) VALUES (?, ?)"

SEND_COLUMNS = "send_id, person_id, lever, due_ms, packed, status, reason, settled_ms"
DECISIONS_OF = """
SELECT packed FROM decisions WHERE person_id = ? ORDER BY at_ms DESC, seq DESC LIMIT ?
"""
REVIVE = """
UPDATE sends SET due_ms = ?, packed = ?, status = 'pending', reason = '', settled_ms = NULL
WHERE send_id = ?
"""
ERASE = (
    DROP_PERSON,
    "DELETE FROM aliases WHERE person_id = ?",
    "DELETE FROM sends WHERE person_id = ?",
    "DELETE FROM decisions WHERE person_id = ?",  # stays last: its count is asked for
)
TRIM_SENDS = """
DELETE FROM sends WHERE seq IN (SELECT seq FROM sends WHERE settled_ms < ? LIMIT ?)
"""
# Oldest first by number; no index by age, which every commit would pay for.
TRIM_OPS = """
DELETE FROM ops WHERE at_ms < ? AND seq IN (SELECT seq FROM ops ORDER BY seq LIMIT ?)
"""
TRIM_OPS_COUNT = "DELETE FROM ops WHERE seq <= (SELECT max(seq) - ? FROM ops)"
TRIM_DECISIONS = """
DELETE FROM decisions WHERE (person_id, at_ms, seq) IN
    (SELECT person_id, at_ms, seq FROM decisions WHERE at_ms < ? ORDER BY at_ms LIMIT ?)
"""
