"""What the library's file holds, version by version. A version that was ever released is never edited, only followed.

`contents` are sounds, told apart by a hash of the sound alone; `files` are the places where they lie. What was heard
(predictions, vectors, fingerprint) belongs to the sound, so that a file that moves, is tagged or lies there twice is
not heard again. Numbers are never given twice: others keep them. Paths are text whose bytes are those of the file
system: they need not be UTF-8.
"""

from __future__ import annotations

import sqlite3

# "tnar", in the header of the file: tells the library from a database of another program.
APPLICATION_ID = 0x746E6172

_FIRST = """
CREATE TABLE roots (path TEXT PRIMARY KEY NOT NULL, scanned_at INTEGER) WITHOUT ROWID;
CREATE TABLE contents (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, seconds REAL);
CREATE TABLE files (
  id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE,
  size INTEGER, mtime_ns INTEGER, device INTEGER, inode INTEGER,
  content_id INTEGER REFERENCES contents (id),
  pending INTEGER NOT NULL DEFAULT 1, claim INTEGER,
  missing_at INTEGER, error_code TEXT, error_message TEXT,
  title TEXT, artist TEXT, album TEXT, year INTEGER, genres TEXT NOT NULL DEFAULT '',
  words TEXT NOT NULL DEFAULT '', path_words TEXT NOT NULL DEFAULT '',
  added_at INTEGER NOT NULL, looked_at INTEGER
);
CREATE INDEX files_content ON files (content_id, missing_at);
CREATE INDEX files_inode ON files (inode);
CREATE INDEX files_pending ON files (id) WHERE pending;
CREATE INDEX files_claimed ON files (claim) WHERE claim IS NOT NULL;
CREATE INDEX files_missing ON files (missing_at) WHERE missing_at IS NOT NULL;
CREATE INDEX files_failed ON files (error_code) WHERE error_code IS NOT NULL;
CREATE TABLE file_genres (
  folded TEXT NOT NULL, file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, PRIMARY KEY (folded, file_id)
) WITHOUT ROWID;
CREATE INDEX file_genres_file ON file_genres (file_id);
CREATE TABLE models (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, genres TEXT NOT NULL, path TEXT,
  used_at INTEGER NOT NULL,
  UNIQUE (name, version)
);
CREATE TABLE predictions (
  content_id INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
  genre TEXT, probability REAL, sure INTEGER NOT NULL, genres TEXT NOT NULL, warnings TEXT, probabilities BLOB,
  predicted_at INTEGER NOT NULL, PRIMARY KEY (content_id, model_id)
) WITHOUT ROWID;
CREATE INDEX predictions_genre ON predictions (model_id, genre, probability, sure);
CREATE TABLE vectors (
  model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE, kind TEXT NOT NULL,
  content_id INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  vector BLOB NOT NULL, PRIMARY KEY (model_id, kind, content_id)
) WITHOUT ROWID;
CREATE INDEX vectors_content ON vectors (content_id);
CREATE TABLE sketches (
  content_id INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE, sketch BLOB NOT NULL
);
CREATE TABLE sketch_keys (
  key INTEGER NOT NULL, content_id INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  PRIMARY KEY (key, content_id)
) WITHOUT ROWID;
CREATE INDEX sketch_keys_content ON sketch_keys (content_id);
CREATE TABLE copies (
  a INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  b INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  share REAL NOT NULL, offset_seconds REAL NOT NULL, PRIMARY KEY (a, b)
) WITHOUT ROWID;
CREATE INDEX copies_b ON copies (b);
CREATE TABLE scans (
  id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, pid INTEGER NOT NULL, started_at INTEGER NOT NULL,
  ended_at INTEGER, summary TEXT
)
"""

# MIGRATIONS[n] leads from version n to version n + 1.
MIGRATIONS: tuple[str, ...] = (_FIRST,)


def version_of(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a library to the newest version: all steps or none, whatever happens meanwhile."""
    if version_of(connection) >= len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Again, now that no other process can be doing the same.
        for number in range(version_of(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[number].split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
