"""The tables of the embedded state. A change here raises `FORMAT`."""

from __future__ import annotations

APPLICATION_ID = 0x67656F65  # "geoe": tells our files from other people's databases
FORMAT = 4
FIRST_FORMAT = 2  # the oldest that is upgraded in place, by `ADDED`

# Rows that go down in one call. Each call lets go of the interpreter's lock and must get it back,
# which under load takes longer than the call.
ROWS_AT_ONCE = 64

TABLES = """
-- Groups of commits, durable, on their way into the other tables: see `backlog`.
CREATE TABLE journal (seq INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE people (
    person_id TEXT PRIMARY KEY, version INTEGER NOT NULL, due_ms INTEGER, flags INTEGER NOT NULL,
    packed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE aliases (name TEXT PRIMARY KEY, person_id TEXT NOT NULL) WITHOUT ROWID;
-- Rows of the outbox carry a whole message: too wide for a table without rowid. Keys are short
-- numbers made of the ids: three times as many fit on a page of the index.
CREATE TABLE sends (
    seq INTEGER PRIMARY KEY, send_key INTEGER NOT NULL, send_id TEXT NOT NULL,
    person_id TEXT NOT NULL, lever TEXT NOT NULL, due_ms INTEGER NOT NULL, packed BLOB NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, settled_ms INTEGER
);
CREATE INDEX sends_by_key ON sends (send_key);
CREATE INDEX sends_pending ON sends (seq) WHERE status = 'pending';
CREATE INDEX sends_dead ON sends (seq) WHERE status = 'dead';
CREATE INDEX sends_settled ON sends (settled_ms) WHERE settled_ms IS NOT NULL;
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, person_key INTEGER NOT NULL, person_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE INDEX decisions_of_person ON decisions (person_key);
CREATE INDEX decisions_by_age ON decisions (at_ms);
-- Digests, so that no operation id can name anybody; many to a row, with the time of the last.
CREATE TABLE ops (
    seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, op_count INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE last_fixes (chunk INTEGER PRIMARY KEY, packed BLOB NOT NULL);
"""
# By format: what it has that the one before had not.
ADDED = {
    3: """
-- Numbered with the decisions: what is filed twice has the same number.
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, person_key INTEGER NOT NULL, person_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE INDEX facts_of_person ON facts (person_key);
CREATE INDEX facts_by_age ON facts (at_ms);
-- Most are a few dozen bytes, and they are asked for by name; by owner when a person is shown.
CREATE TABLE cards (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    owner TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX cards_by_end ON cards (until_ms) WHERE until_ms > 0;
CREATE INDEX cards_by_owner ON cards (owner) WHERE owner != '';
""",
    4: """
-- For exports. Without it each would read all messages of a week, and commits wait meanwhile: 50 ms
-- for 100,000 rows. It makes filing a message a third to a half dearer, 10 to 20 microseconds.
CREATE INDEX sends_of_person ON sends (person_id);
""",
}


class Bulk:
    """A statement for one row, and for as many as go down at once; for one only without ``row``."""

    __slots__ = ("many", "one")

    def __init__(self, head: str, row: str = "", tail: str = "") -> None:
        self.one = head + row + tail
        self.many = head + ", ".join([row] * ROWS_AT_ONCE) + tail


ADD_ENTRY = "INSERT INTO journal (seq, packed) VALUES (?, ?)"
ENTRIES = "SELECT seq, packed FROM journal ORDER BY seq"
DROP_ENTRIES = "DELETE FROM journal WHERE seq <= ?"

PUT_PERSON = Bulk(
    "INSERT INTO people (person_id, version, due_ms, flags, packed) VALUES ",
    "(?, ?, ?, ?, ?)",
    " ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, due_ms = excluded.due_ms,"
    " flags = excluded.flags, packed = excluded.packed",
)
DROP_PERSON = Bulk("DELETE FROM people WHERE person_id IN (", "?", ")")
PUT_ALIAS = Bulk("INSERT OR REPLACE INTO aliases (name, person_id) VALUES ", "(?, ?)")
DROP_ALIAS = Bulk("DELETE FROM aliases WHERE name IN (", "?", ")")
ADD_SEND = Bulk(
    "INSERT INTO sends (send_key, send_id, person_id, lever, due_ms, packed, status, reason,"
    " settled_ms) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
)
POSTPONE = Bulk(
    "UPDATE sends SET due_ms = ?, packed = ?"
    " WHERE send_key = ? AND send_id = ? AND status = 'pending'"
)
END = Bulk(
    "UPDATE sends SET status = ?, reason = ?, settled_ms = ?, packed = coalesce(?, packed)"
    " WHERE send_key = ? AND send_id = ?"
)
CANCEL = Bulk(END.one + " AND status = 'pending'")
PUT_CARD = Bulk(
    "INSERT INTO cards (name, version, until_ms, owner, body) VALUES ",
    "(?, ?, ?, ?, ?)",
    " ON CONFLICT (name) DO UPDATE SET version = excluded.version, until_ms = excluded.until_ms,"
    " owner = excluded.owner, body = excluded.body",
)
DROP_CARD = Bulk("DELETE FROM cards WHERE name IN (", "?", ")")
ADD_OPS = Bulk("INSERT OR IGNORE INTO ops (seq, at_ms, op_count, packed) VALUES ", "(?, ?, ?, ?)")
PUT_NOTE = "INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)"

DEAD = "SELECT count(*) FROM sends WHERE status = 'dead'"
SEND_COLUMNS = "send_id, person_id, lever, due_ms, packed, status, reason, settled_ms"
SENDS = f"SELECT {SEND_COLUMNS} FROM sends ORDER BY seq DESC LIMIT ?"  # noqa: S608
SENDS_IN = f"""
SELECT {SEND_COLUMNS} FROM sends WHERE status = ? ORDER BY seq DESC LIMIT ?
"""  # noqa: S608 our own constant
SENDS_OF = f"""
SELECT {SEND_COLUMNS} FROM sends WHERE person_id = ? ORDER BY seq DESC LIMIT ?
"""  # noqa: S608 our own constant
KNOWN_SENDS = "SELECT send_id FROM sends WHERE send_key IN carray(?)"
DEAD_SEND = f"""
SELECT {SEND_COLUMNS} FROM sends WHERE send_key = ? AND send_id = ? AND status = 'dead'
"""  # noqa: S608 our own constant
REVIVE = """
UPDATE sends SET due_ms = ?, packed = ?, status = 'pending', reason = '', settled_ms = NULL
WHERE send_key = ? AND send_id = ?
"""
NOTES = "SELECT name, value FROM notes ORDER BY name"
SENDS_FROM = f"""
SELECT seq, {SEND_COLUMNS} FROM sends WHERE seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 our own constant
SEND_COUNT = "SELECT count(*) FROM sends"
_TABLES = "people aliases sends decisions facts cards ops last_fixes notes"
WIPE = tuple(f"DELETE FROM {table}" for table in _TABLES.split())  # noqa: S608 our own constants
ERASE = (
    "DELETE FROM people WHERE person_id = :person_id",
    "DELETE FROM aliases WHERE person_id = :person_id",
    "DELETE FROM sends WHERE person_id = :person_id",
)
TRIM_SENDS = """
DELETE FROM sends WHERE seq IN (SELECT seq FROM sends WHERE settled_ms < ? LIMIT ?)
"""
TRIM_OPS = "DELETE FROM ops WHERE at_ms < ?"
TRIM_OPS_COUNT = """
DELETE FROM ops WHERE seq IN (
    SELECT seq FROM
        (SELECT seq, sum(op_count) OVER (ORDER BY seq DESC) - op_count AS newer FROM ops)
    WHERE newer >= ?
)
"""
CARD_COLUMNS = "name, version, until_ms, owner, body"
CARD = f"SELECT {CARD_COLUMNS} FROM cards WHERE name = ?"  # noqa: S608 our own constant
CARDS_FROM = f"""
SELECT {CARD_COLUMNS} FROM cards WHERE name >= ? AND name < ? ORDER BY name LIMIT ?
"""  # noqa: S608 our own constant
CARD_COUNT = "SELECT count(*) FROM cards"
# Said twice, or SQLite does not see that the index has them all.
_OWNED = "WHERE owner = ? AND owner != ''"
CARDS_OF = f"SELECT {CARD_COLUMNS} FROM cards {_OWNED}"  # noqa: S608 our own constant
DROP_OWNED = f"DELETE FROM cards {_OWNED} RETURNING version"  # noqa: S608 our own constant
DROP_ENDED = """
DELETE FROM cards WHERE name IN
    (SELECT name FROM cards WHERE until_ms > 0 AND until_ms < ? ORDER BY until_ms LIMIT ?)
RETURNING version
"""


class LogStatements:
    """Those about one of the tables of what was: decisions, or facts."""

    def __init__(self, table: str) -> None:
        self.add = Bulk(
            f"INSERT OR IGNORE INTO {table}"  # noqa: S608
            " (seq, person_key, person_id, at_ms, packed) VALUES ",
            "(?, ?, ?, ?, ?)",
        )
        self.count = f"SELECT count(*), coalesce(max(seq), 0) FROM {table}"  # noqa: S608
        self.of_person = (
            f"SELECT at_ms, seq, packed FROM {table} WHERE person_key = ? AND person_id = ?"  # noqa: S608
            " ORDER BY at_ms DESC, seq DESC LIMIT ?"
        )
        self.stretch = f"SELECT min(seq), max(seq) FROM {table} WHERE at_ms >= ? AND at_ms < ?"  # noqa: S608
        # By number, as they lie in the file, hence the +, which keeps off the index by age. All of
        # a page as one row: a row a step would let go of the interpreter's lock for each.
        self.between = (
            "SELECT count(*), max(seq), CAST(group_concat(packed, '') AS BLOB) FROM"  # noqa: S608
            f" (SELECT seq, packed FROM {table} WHERE seq > ? AND seq <= ?"
            " AND +at_ms >= ? AND +at_ms < ? ORDER BY seq LIMIT ?)"
        )
        self.following = (
            f"SELECT person_key, seq, packed FROM {table} WHERE (person_key, seq) > (?, ?)"  # noqa: S608
            " ORDER BY person_key, seq LIMIT ?"
        )
        self.erase = f"DELETE FROM {table} WHERE person_key = ? AND person_id = ?"  # noqa: S608
        self.trim = (
            f"DELETE FROM {table} WHERE seq IN"  # noqa: S608
            f" (SELECT seq FROM {table} WHERE at_ms < ? ORDER BY at_ms LIMIT ?)"
        )


DECISIONS = LogStatements("decisions")
FACTS = LogStatements("facts")
