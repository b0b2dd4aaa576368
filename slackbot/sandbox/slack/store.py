"""The workspace's durable state: documents in one SQLite file, so that it outlives the process.

Data comes from `workspace.py`, `views.py`, `files.py`, `interactions.py` and `socket_mode.py`, and goes
back to them as the same JSON documents. Nothing here knows a rule of Slack's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (
    channel_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (channel_id, user_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    channel_id TEXT NOT NULL, ts TEXT NOT NULL, root_ts TEXT, in_channel INTEGER NOT NULL,
    ephemeral_to TEXT, document TEXT NOT NULL, PRIMARY KEY (channel_id, ts)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS thread ON messages (channel_id, root_ts, ts);
CREATE TABLE IF NOT EXISTS reactions (
    position INTEGER PRIMARY KEY, channel_id TEXT NOT NULL, ts TEXT NOT NULL, name TEXT NOT NULL,
    user_id TEXT NOT NULL, UNIQUE (channel_id, ts, name, user_id)
);
CREATE TABLE IF NOT EXISTS file_contents (file_id TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, attempt INTEGER NOT NULL, document TEXT NOT NULL
);
"""


class Store:
    """One SQLite file. Calls are short and made on the event loop's thread; errors are `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._depth = 0
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A process that dies loses nothing with NORMAL; only a power cut may take the last messages of a sandbox.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become durable together, or none does. May be nested."""
        self._depth += 1
        if self._depth == 1:
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._connection.execute("COMMIT")

    # Documents: users, channels, user groups, files, views, response URLs, notes by kind and id.

    def get(self, kind: str, document_id: str) -> Document | None:
        row = self._connection.execute(
            "SELECT document FROM documents WHERE kind = ? AND id = ?", (kind, document_id)
        ).fetchone()
        return None if row is None else _document(row[0])

    def put(self, kind: str, document_id: str, document: Document) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, document_id, _text(document))
        )

    def remove(self, kind: str, document_id: str) -> None:
        self._connection.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, document_id))

    def remove_older(self, kind: str, field: str, than: float) -> None:
        """Removes the documents whose numeric `field` is below `than`."""
        self._connection.execute(
            "DELETE FROM documents WHERE kind = ? AND json_extract(document, ?) < ?", (kind, f"$.{field}", than)
        )

    def all(self, kind: str) -> list[Document]:
        rows = self._connection.execute("SELECT document FROM documents WHERE kind = ? ORDER BY id", (kind,))
        return [_document(row[0]) for row in rows]

    # Members

    def add_member(self, channel_id: str, user_id: str) -> bool:
        """False when the user was a member already."""
        cursor = self._connection.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (channel_id, user_id))
        return cursor.rowcount == 1

    def remove_member(self, channel_id: str, user_id: str) -> bool:
        cursor = self._connection.execute(
            "DELETE FROM members WHERE channel_id = ? AND user_id = ?", (channel_id, user_id)
        )
        return cursor.rowcount == 1

    def is_member(self, channel_id: str, user_id: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM members WHERE channel_id = ? AND user_id = ?", (channel_id, user_id)
        ).fetchone()
        return row is not None

    def members(self, channel_id: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT user_id FROM members WHERE channel_id = ? ORDER BY user_id", (channel_id,)
        )
        return [row[0] for row in rows]

    # Messages

    def latest_ts(self) -> str:
        row = self._connection.execute("SELECT max(ts) FROM messages").fetchone()
        return row[0] or "0000000000.000000"

    def put_message(
        self,
        channel_id: str,
        message: Document,
        *,
        root_ts: str | None,
        in_channel: bool,
        ephemeral_to: str | None = None,
    ) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            (channel_id, message["ts"], root_ts, int(in_channel), ephemeral_to, _text(message)),
        )

    def replace_message(self, channel_id: str, message: Document) -> None:
        self._connection.execute(
            "UPDATE messages SET document = ? WHERE channel_id = ? AND ts = ?",
            (_text(message), channel_id, message["ts"]),
        )

    def remove_message(self, channel_id: str, ts: str) -> None:
        self._connection.execute("DELETE FROM messages WHERE channel_id = ? AND ts = ?", (channel_id, ts))
        self._connection.execute("DELETE FROM reactions WHERE channel_id = ? AND ts = ?", (channel_id, ts))

    def message(self, channel_id: str, ts: str, ephemeral_to: str | None = None) -> Document | None:
        row = self._connection.execute(
            "SELECT document FROM messages WHERE channel_id = ? AND ts = ? AND ephemeral_to IS ?",
            (channel_id, ts, ephemeral_to),
        ).fetchone()
        return None if row is None else _document(row[0])

    def messages(
        self,
        channel_id: str,
        *,
        root_ts: str | None = None,
        after: str = "",
        before: str = "9" * 10,
        newest_first: bool = False,
        limit: int,
        ephemeral_to: str | None = None,
    ) -> list[Document]:
        """Messages with `after` < ts < `before`: of a thread (its root excluded), or those shown in the channel.

        `ephemeral_to` adds the ephemeral ones of that user.
        """
        scope = "in_channel = 1" if root_ts is None else "root_ts = ?"
        arguments: list[Any] = [channel_id, after, before] + ([] if root_ts is None else [root_ts])
        order = "DESC" if newest_first else "ASC"
        rows = self._connection.execute(
            f"SELECT document FROM messages WHERE channel_id = ? AND ts > ? AND ts < ? AND {scope} "  # noqa: S608
            f"AND (ephemeral_to IS NULL OR ephemeral_to = ?) ORDER BY ts {order} LIMIT ?",
            [*arguments, ephemeral_to, limit],
        )
        return [_document(row[0]) for row in rows]

    def thread_summary(self, channel_id: str, root_ts: str) -> tuple[int, str | None, list[str]]:
        """(number of replies, ts of the latest, who replied in order of their first reply)."""
        rows = self._connection.execute(
            "SELECT ts, json_extract(document, '$.user') FROM messages "
            "WHERE channel_id = ? AND root_ts = ? AND ephemeral_to IS NULL ORDER BY ts",
            (channel_id, root_ts),
        ).fetchall()
        users = list(dict.fromkeys(row[1] for row in rows if row[1]))
        return len(rows), (rows[-1][0] if rows else None), users

    # Reactions

    def add_reaction(self, channel_id: str, ts: str, name: str, user_id: str) -> bool:
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO reactions (channel_id, ts, name, user_id) VALUES (?, ?, ?, ?)",
            (channel_id, ts, name, user_id),
        )
        return cursor.rowcount == 1

    def remove_reaction(self, channel_id: str, ts: str, name: str, user_id: str) -> bool:
        cursor = self._connection.execute(
            "DELETE FROM reactions WHERE channel_id = ? AND ts = ? AND name = ? AND user_id = ?",
            (channel_id, ts, name, user_id),
        )
        return cursor.rowcount == 1

    def reactions(self, channel_id: str, ts: str) -> list[Document]:
        """[{name, users, count}] in the order in which they were first given."""
        rows = self._connection.execute(
            "SELECT name, user_id FROM reactions WHERE channel_id = ? AND ts = ? ORDER BY position", (channel_id, ts)
        )
        users: dict[str, list[str]] = {}
        for name, user_id in rows:
            users.setdefault(name, []).append(user_id)
        return [{"name": name, "users": ids, "count": len(ids)} for name, ids in users.items()]

    # Contents of files

    def put_content(self, file_id: str, content: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO file_contents VALUES (?, ?)", (file_id, content))

    def content(self, file_id: str) -> bytes | None:
        row = self._connection.execute("SELECT content FROM file_contents WHERE file_id = ?", (file_id,)).fetchone()
        return None if row is None else row[0]

    def remove_content(self, file_id: str) -> None:
        self._connection.execute("DELETE FROM file_contents WHERE file_id = ?", (file_id,))

    # Event deliveries that nobody has acknowledged

    def add_delivery(self, event_id: str, payload: Document) -> None:
        self._connection.execute(
            "INSERT INTO deliveries (event_id, attempt, document) VALUES (?, 0, ?)", (event_id, _text(payload))
        )

    def set_attempt(self, event_id: str, attempt: int) -> None:
        self._connection.execute("UPDATE deliveries SET attempt = ? WHERE event_id = ?", (attempt, event_id))

    def remove_delivery(self, event_id: str) -> None:
        self._connection.execute("DELETE FROM deliveries WHERE event_id = ?", (event_id,))

    def deliveries(self) -> list[tuple[str, int, Document]]:
        """(event_id, attempt, payload), oldest first."""
        rows = self._connection.execute("SELECT event_id, attempt, document FROM deliveries ORDER BY position")
        return [(row[0], row[1], _document(row[2])) for row in rows]


def _document(text: str) -> Document:
    document: Document = json.loads(text)
    return document


def _text(document: Document) -> str:
    # Slack keeps no lone surrogates; ASCII escapes let SQLite store whatever JSON brought in.
    return json.dumps(document)
