"""What people and CI say of pull requests, in the stand-in's SQLite file: people, reviews, comments, checks, rules.

`reviewing.py` writes here by GitHub's rules; GraphQL, REST and the pages read. Times are Unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

_SCHEMA = """
create table if not exists people (
    id integer primary key autoincrement, login text not null unique collate nocase, name text not null,
    collaborator integer not null);
create table if not exists reviews (
    id integer primary key autoincrement, pull_id integer not null references pulls (id), login text not null,
    state text not null, body text not null, commit_sha text not null, submitted_at integer not null);
create table if not exists threads (
    id integer primary key autoincrement, pull_id integer not null references pulls (id), path text not null,
    line integer not null, commit_sha text not null, resolved integer not null default 0);
create table if not exists comments (
    id integer primary key autoincrement, pull_id integer not null references pulls (id),
    thread_id integer references threads (id), review_id integer references reviews (id), login text not null,
    body text not null, created_at integer not null);
create table if not exists checks (
    id integer primary key autoincrement, repository_id integer not null references repositories (id),
    head_sha text not null, kind text not null, name text not null, status text not null, conclusion text,
    title text not null default '', summary text not null default '', log text not null default '',
    started_at integer not null, completed_at integer, unique (repository_id, head_sha, kind, name));
create table if not exists review_requests (
    pull_id integer not null references pulls (id), login text not null, unique (pull_id, login));
create table if not exists rules (
    repository_id integer not null references repositories (id), branch text not null, approvals integer not null,
    checks text not null, unique (repository_id, branch));
create table if not exists ways (
    repository_id integer primary key references repositories (id), allow_merge integer not null,
    allow_squash integer not null, allow_rebase integer not null, delete_branch integer not null,
    ci text not null);
"""
_FIRST_IDS = {"people": 1_000, "reviews": 3_000_000_000, "comments": 3_000_000_000, "checks": 40_000_000_000}
"""GitHub's are larger than 32 bits hold, and so are these."""


@dataclass(frozen=True)
class Person:
    """Someone who acts on pull requests here. Who is no collaborator may comment, and counts for nothing."""

    id: int
    login: str
    name: str
    collaborator: bool


@dataclass(frozen=True)
class ReviewRow:
    """`state`: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED."""

    id: int
    pull_id: int
    login: str
    state: str
    body: str
    commit_sha: str
    submitted_at: int


@dataclass(frozen=True)
class ThreadRow:
    """Comments on one line of the new side of the diff at `commit_sha`."""

    id: int
    pull_id: int
    path: str
    line: int
    commit_sha: str
    resolved: bool


@dataclass(frozen=True)
class CommentRow:
    """A comment of a thread, or (`thread_id` None) of the pull request itself."""

    id: int
    pull_id: int
    thread_id: int | None
    review_id: int | None
    login: str
    body: str
    created_at: int


@dataclass(frozen=True)
class CheckRow:
    """`kind`: check (a job of Actions, with a log) or status. `status`: QUEUED, IN_PROGRESS, COMPLETED;
    `conclusion` of a completed one: SUCCESS, FAILURE, ..."""

    id: int
    repository_id: int
    head_sha: str
    kind: str
    name: str
    status: str
    conclusion: str | None
    title: str
    summary: str
    log: str
    started_at: int
    completed_at: int | None


@dataclass(frozen=True)
class Rule:
    """What a protected branch asks of a pull request; nobody pushes to it."""

    branch: str
    approvals: int
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Ways:
    """How a repository lets pull requests be merged, and the checks that its CI runs on each of them."""

    allow_merge: bool = True
    allow_squash: bool = True
    allow_rebase: bool = True
    delete_branch: bool = False
    ci: tuple[str, ...] = ()


class ReviewStore:
    """Each method is one short transaction. `db` is the store's own connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(_SCHEMA)
        for table, first in _FIRST_IDS.items():
            db.execute(
                "insert into sqlite_sequence (name, seq) select ?, ? where not exists "
                "(select 1 from sqlite_sequence where name = ?)",
                (table, first, table),
            )

    # ------------------------------------------------------------------------------------ people

    def add_person(self, login: str, name: str, *, collaborator: bool) -> None:
        self._db.execute(
            "insert or ignore into people (login, name, collaborator) values (?, ?, ?)", (login, name, collaborator)
        )

    def people(self) -> list[Person]:
        rows = self._db.execute("select * from people order by collaborator desc, login")
        return [Person(row["id"], row["login"], row["name"], bool(row["collaborator"])) for row in rows]

    def person(self, login: str) -> Person | None:
        return next((one for one in self.people() if one.login.lower() == login.lower()), None)

    def request_reviews(self, pull_id: int, logins: list[str]) -> None:
        for login in logins:
            self._db.execute("insert or ignore into review_requests values (?, ?)", (pull_id, login))

    def end_request(self, pull_id: int, login: str) -> None:
        self._db.execute("delete from review_requests where pull_id = ? and login = ?", (pull_id, login))

    def requested(self, pull_id: int) -> list[str]:
        rows = self._db.execute("select login from review_requests where pull_id = ? order by login", (pull_id,))
        return [row["login"] for row in rows]

    # ------------------------------------------------------------------------- reviews and comments

    def add_review(self, **values: Any) -> ReviewRow:
        return ReviewRow(**self._insert("reviews", values))

    def reviews(self, pull_id: int) -> list[ReviewRow]:
        return [ReviewRow(**row) for row in self._rows("reviews", pull_id=pull_id)]

    def add_thread(self, **values: Any) -> ThreadRow:
        return _thread(self._insert("threads", values))

    def threads(self, pull_id: int) -> list[ThreadRow]:
        return [_thread(row) for row in self._rows("threads", pull_id=pull_id)]

    def resolve(self, thread_id: int, resolved: bool) -> None:
        self._db.execute("update threads set resolved = ? where id = ?", (resolved, thread_id))

    def add_comment(self, **values: Any) -> CommentRow:
        return CommentRow(**self._insert("comments", values))

    def comments(self, pull_id: int, thread_id: int | None = None) -> list[CommentRow]:
        """Those of one thread, or those of the pull request itself."""
        return [one for one in self.all_comments(pull_id) if one.thread_id == thread_id]

    def all_comments(self, pull_id: int) -> list[CommentRow]:
        return [CommentRow(**row) for row in self._rows("comments", pull_id=pull_id)]

    # ------------------------------------------------------------------------------- checks and rules

    def put_check(self, **values: Any) -> CheckRow:
        """A new check, or the one of this commit, kind and name made anew (with another id, as GitHub does)."""
        key = {name: values[name] for name in ("repository_id", "head_sha", "kind", "name")}
        self._db.execute(
            "delete from checks where repository_id = :repository_id and head_sha = :head_sha and kind = :kind "
            "and name = :name",
            key,
        )
        return CheckRow(**self._insert("checks", values))

    def finish_check(self, check_id: int, **values: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"update checks set {names} where id = ?", (*values.values(), check_id))  # noqa: S608

    def checks(self, repository_id: int, head_sha: str) -> list[CheckRow]:
        return [CheckRow(**row) for row in self._rows("checks", repository_id=repository_id, head_sha=head_sha)]

    def check(self, repository_id: int, check_id: int) -> CheckRow | None:
        found = self._rows("checks", repository_id=repository_id, id=check_id)
        return CheckRow(**found[0]) if found else None

    def rule(self, repository_id: int, branch: str) -> Rule | None:
        found = self._rows("rules", "branch", repository_id=repository_id, branch=branch)
        if not found:
            return None
        return Rule(found[0]["branch"], found[0]["approvals"], tuple(json.loads(found[0]["checks"])))

    def protected_branches(self, repository_id: int) -> list[str]:
        return [row["branch"] for row in self._rows("rules", "branch", repository_id=repository_id)]

    def set_rule(self, repository_id: int, branch: str, rule: Rule | None) -> None:
        self._db.execute("delete from rules where repository_id = ? and branch = ?", (repository_id, branch))
        if rule is not None:
            values = repository_id, branch, rule.approvals, json.dumps(rule.checks)
            self._db.execute("insert into rules values (?, ?, ?, ?)", values)

    def ways(self, repository_id: int) -> Ways:
        found = self._rows("ways", "repository_id", repository_id=repository_id)
        if not found:
            return Ways()
        row = found[0]
        return Ways(
            allow_merge=bool(row["allow_merge"]),
            allow_squash=bool(row["allow_squash"]),
            allow_rebase=bool(row["allow_rebase"]),
            delete_branch=bool(row["delete_branch"]),
            ci=tuple(json.loads(row["ci"])),
        )

    def set_ways(self, repository_id: int, ways: Ways) -> None:
        values = ways.allow_merge, ways.allow_squash, ways.allow_rebase, ways.delete_branch, json.dumps(ways.ci)
        self._db.execute("insert or replace into ways values (?, ?, ?, ?, ?, ?)", (repository_id, *values))

    # ----------------------------------------------------------------------------------------------

    def _insert(self, table: str, values: dict[str, Any]) -> dict[str, Any]:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        statement = f"insert into {table} ({names}) values ({marks}) returning *"  # noqa: S608
        return dict(self._db.execute(statement, tuple(values.values())).fetchone())

    def _rows(self, table: str, order: str = "id", **equal: Any) -> list[dict[str, Any]]:
        where = " and ".join(f"{name} = ?" for name in equal)
        statement = f"select * from {table} where {where} order by {order}"  # noqa: S608
        return [dict(row) for row in self._db.execute(statement, tuple(equal.values()))]


def _thread(row: dict[str, Any]) -> ThreadRow:
    return ThreadRow(**{**row, "resolved": bool(row["resolved"])})
