"""What the stand-in remembers beside git: accounts, repositories, pull requests, and hashes of tokens.

One SQLite file in the state directory; `world.py` is the only caller. Times are Unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slackbot.sandbox.github.review_store import ReviewStore

_SCHEMA = """
create table if not exists accounts (
    id integer primary key autoincrement, login text not null unique collate nocase, type text not null);
create table if not exists repositories (
    id integer primary key autoincrement, account_id integer not null references accounts (id),
    full_name text not null unique collate nocase, default_branch text not null, description text not null,
    private integer not null, archived integer not null, installed integer not null,
    next_number integer not null default 1, created_at integer not null, pushed_at integer not null,
    source_path text);
create table if not exists renames (
    full_name text primary key collate nocase, repository_id integer not null references repositories (id));
create table if not exists pulls (
    id integer primary key autoincrement, repository_id integer not null references repositories (id),
    number integer not null, state text not null, merged integer not null default 0, draft integer not null,
    title text not null, body text, login text not null, head_ref text not null, base_ref text not null,
    head_sha text not null, base_sha text not null, merge_commit_sha text,
    created_at integer not null, updated_at integer not null, closed_at integer,
    unique (repository_id, number));
create table if not exists tokens (
    token_sha256 text primary key, account_id integer not null references accounts (id),
    permissions text not null, repository_ids text, expires_at integer not null);
"""


@dataclass(frozen=True)
class Account:
    """An owner of repositories. Its installation of the App has the same id as the account."""

    id: int
    login: str
    type: str


@dataclass(frozen=True)
class RepositoryRow:
    """A repository; `installed` says whether the App may reach it, `source_path` where it was imported from."""

    id: int
    account: Account
    full_name: str
    default_branch: str
    description: str
    private: bool
    archived: bool
    installed: bool
    created_at: int
    pushed_at: int
    source_path: str | None

    @property
    def name(self) -> str:
        return self.full_name.split("/", 1)[1]


@dataclass(frozen=True)
class PullRow:
    """A pull request; `state` is open or closed, and a merged one is closed as well."""

    id: int
    repository_id: int
    number: int
    state: str
    merged: bool
    draft: bool
    title: str
    body: str | None
    login: str
    head_ref: str
    base_ref: str
    head_sha: str
    base_sha: str
    merge_commit_sha: str | None
    created_at: int
    updated_at: int
    closed_at: int | None
    merged_by: str | None = None


@dataclass(frozen=True)
class TokenRow:
    """An installation token, known by its hash. `repository_ids` None = all the installation has."""

    account_id: int
    permissions: dict[str, str]
    repository_ids: frozenset[int] | None
    expires_at: int


class Store:
    """Each method is one short transaction; safe against the process being killed at any point."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.execute("pragma busy_timeout = 5000")
        self._db.executescript(_SCHEMA)
        if "merged_by" not in {row["name"] for row in self._db.execute("pragma table_info(pulls)")}:
            self._db.execute("alter table pulls add column merged_by text")  # a state of an earlier version
        self.reviews = ReviewStore(self._db)

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------------ accounts and repositories

    def account(self, login: str) -> Account | None:
        row = self._db.execute("select * from accounts where login = ?", (login,)).fetchone()
        return Account(**row) if row else None

    def installed_accounts(self) -> list[Account]:
        """Accounts with at least one repository that the App is installed on."""
        query = """select * from accounts where exists (select 1 from repositories
                   where account_id = accounts.id and installed) order by id"""
        return [Account(**row) for row in self._db.execute(query)]

    def add_repository(
        self,
        full_name: str,
        *,
        account_type: str,
        default_branch: str,
        description: str,
        private: bool,
        archived: bool,
        installed: bool,
        source_path: str | None,
        now: int,
    ) -> RepositoryRow:
        login = full_name.split("/", 1)[0]
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute("insert or ignore into accounts (login, type) values (?, ?)", (login, account_type))
            account = self._db.execute("select id from accounts where login = ?", (login,)).fetchone()
            self._db.execute("delete from renames where full_name = ?", (full_name,))
            self._db.execute(
                """insert into repositories (account_id, full_name, default_branch, description, private,
                   archived, installed, created_at, pushed_at, source_path) values (?,?,?,?,?,?,?,?,?,?)""",
                (
                    *(account["id"], full_name, default_branch, description),
                    *(private, archived, installed, now, now, source_path),
                ),
            )
        found = self.repository(full_name)
        if found is None:
            raise LookupError(full_name)
        return found

    def remove_repository(self, repository_id: int) -> None:
        """For one whose making failed half-way; it has no pull requests yet."""
        self._db.execute("delete from repositories where id = ?", (repository_id,))

    def repository(self, full_name: str) -> RepositoryRow | None:
        return next(iter(self._repositories("full_name = ?", full_name)), None)

    def repository_by_id(self, repository_id: int) -> RepositoryRow | None:
        return next(iter(self._repositories("repositories.id = ?", repository_id)), None)

    def renamed(self, full_name: str) -> RepositoryRow | None:
        """The repository that once had this name."""
        row = self._db.execute("select repository_id from renames where full_name = ?", (full_name,)).fetchone()
        return self.repository_by_id(row["repository_id"]) if row else None

    def repositories(self, account_id: int | None = None) -> list[RepositoryRow]:
        return self._repositories("1") if account_id is None else self._repositories("account_id = ?", account_id)

    def set_repository(self, repository_id: int, **values: Any) -> None:
        """Changes any of default_branch, archived, installed, private, pushed_at."""
        self._update("repositories", {"id": repository_id}, values)

    def rename(self, repository_id: int, old_name: str, new_name: str) -> None:
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute("insert or replace into renames values (?, ?)", (old_name, repository_id))
            self._db.execute("update repositories set full_name = ? where id = ?", (new_name, repository_id))

    def _repositories(self, where: str, *arguments: Any) -> list[RepositoryRow]:
        rows = self._db.execute(
            f"""select repositories.*, login, type from repositories
                join accounts on accounts.id = account_id where {where} order by full_name""",  # noqa: S608
            arguments,
        )
        return [
            RepositoryRow(
                id=row["id"],
                account=Account(row["account_id"], row["login"], row["type"]),
                full_name=row["full_name"],
                default_branch=row["default_branch"],
                description=row["description"],
                private=bool(row["private"]),
                archived=bool(row["archived"]),
                installed=bool(row["installed"]),
                created_at=row["created_at"],
                pushed_at=row["pushed_at"],
                source_path=row["source_path"],
            )
            for row in rows
        ]

    # ------------------------------------------------------------------------------ pull requests

    def add_pull(self, repository_id: int, now: int, **values: Any) -> PullRow | None:
        """A new open pull request; None when one of the same head and base is open."""
        with self._db:
            self._db.execute("begin immediate")
            if self._db.execute(
                "select 1 from pulls where repository_id = ? and state = 'open' and head_ref = ? and base_ref = ?",
                (repository_id, values["head_ref"], values["base_ref"]),
            ).fetchone():
                return None
            number = self._db.execute(
                "update repositories set next_number = next_number + 1 where id = ? returning next_number - 1",
                (repository_id,),
            ).fetchone()[0]
            columns = {
                "repository_id": repository_id,
                "number": number,
                "state": "open",
                "created_at": now,
                "updated_at": now,
                **values,
            }
            names, marks = ", ".join(columns), ", ".join("?" * len(columns))
            self._db.execute(f"insert into pulls ({names}) values ({marks})", tuple(columns.values()))  # noqa: S608
        return self.pull(repository_id, number)

    def pull(self, repository_id: int, number: int) -> PullRow | None:
        return next(iter(self.pulls(repository_id, number=number)), None)

    def pulls(self, repository_id: int, **equal: Any) -> list[PullRow]:
        """Newest first; `equal` narrows by number, state, head_ref, base_ref."""
        conditions = {"repository_id": repository_id, **equal}
        where = " and ".join(f"{name} = ?" for name in conditions)
        rows = self._db.execute(
            f"select * from pulls where {where} order by number desc",  # noqa: S608
            tuple(conditions.values()),
        )
        return [
            PullRow(**{**row, "merged": bool(row["merged"]), "draft": bool(row["draft"])}) for row in map(dict, rows)
        ]

    def pull_by_id(self, pull_id: int) -> PullRow | None:
        row = self._db.execute("select repository_id, number from pulls where id = ?", (pull_id,)).fetchone()
        return self.pull(row["repository_id"], row["number"]) if row else None

    def set_pull(self, pull: PullRow, now: int, **values: Any) -> None:
        self._update("pulls", {"id": pull.id}, {**values, "updated_at": now})

    # ------------------------------------------------------------------------------------- tokens

    def add_token(self, token_sha256: str, row: TokenRow, now: int) -> None:
        ids: Iterable[int] | None = row.repository_ids
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute("delete from tokens where expires_at < ?", (now - 86_400,))
            self._db.execute(
                "insert into tokens values (?, ?, ?, ?, ?)",
                (
                    *(token_sha256, row.account_id, json.dumps(row.permissions)),
                    *(None if ids is None else json.dumps(sorted(ids)), row.expires_at),
                ),
            )

    def token(self, token_sha256: str) -> TokenRow | None:
        row = self._db.execute("select * from tokens where token_sha256 = ?", (token_sha256,)).fetchone()
        if row is None:
            return None
        ids = row["repository_ids"]
        return TokenRow(
            account_id=row["account_id"],
            permissions=json.loads(row["permissions"]),
            repository_ids=None if ids is None else frozenset(json.loads(ids)),
            expires_at=row["expires_at"],
        )

    def remove_token(self, token_sha256: str) -> None:
        self._db.execute("delete from tokens where token_sha256 = ?", (token_sha256,))

    def _update(self, table: str, keys: dict[str, Any], values: dict[str, Any]) -> None:
        if values:
            names = ", ".join(f"{name} = ?" for name in values)
            where = " and ".join(f"{name} = ?" for name in keys)
            self._db.execute(
                f"update {table} set {names} where {where}",  # noqa: S608
                (*values.values(), *keys.values()),
            )
