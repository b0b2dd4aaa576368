"""What the stand-in asks of git: refs, commits, differences, trees of its own bare repositories.

`world.py`, the REST rooms and the pages ask `GitRepository`; it runs `git`. Refs and paths that come from
outside stand behind `--end-of-options` or `--`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from slackbot.sandbox.github.git_diff import ChangedFile, parse_changes, split_patches
from slackbot.sandbox.github.git_process import OUTPUT_LIMIT_BYTES, GitError, run_git

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_COMMIT_FORMAT = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
_COMMIT_FIELDS = 10
_DIFF = ("diff-tree", "-r", "-M", "--no-color", "--no-ext-diff", "--no-textconv")
_PATCH_LIMIT_BYTES = 3 * 1024 * 1024
_SHA = re.compile(r"[0-9a-f]{40}\Z")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$")


@dataclass(frozen=True)
class Commit:
    """One commit; dates are ISO 8601 with the offset of who wrote it."""

    sha: str
    tree_sha: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    authored_at: str
    committer_name: str
    committer_email: str
    committed_at: str
    message: str

    @property
    def subject(self) -> str:
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True)
class TreeEntry:
    """One entry of a directory: `type` is blob, tree or commit (a submodule)."""

    mode: str
    type: str
    sha: str
    size: int | None
    name: str


@dataclass(frozen=True)
class NewCommit:
    """A commit to make. A file that is None is removed; `at` is Unix seconds."""

    message: str
    files: dict[str, str | bytes | None]
    at: int
    author_name: str = "DevFlow sandbox"
    author_email: str = "sandbox@users.noreply.localhost"


@dataclass(frozen=True)
class Difference:
    """`head` against the merge base with `base`."""

    merge_base: str | None
    ahead_by: int
    behind_by: int
    files: list[ChangedFile] = field(default_factory=list)


def is_branch_name(name: str) -> bool:
    """Whether git would take it (`git check-ref-format`), and it cannot be mistaken for an option."""
    return bool(name) and len(name.encode(errors="replace")) <= 244 and not _BAD_REF.search(name)


class GitRepository:
    """One bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def git(self, *arguments: str, stdin: bytes | None = None, limit_bytes: int = OUTPUT_LIMIT_BYTES) -> bytes:
        return await run_git(f"--git-dir={self.path}", *arguments, stdin=stdin, limit_bytes=limit_bytes)

    async def _text(self, *arguments: str) -> str:
        return (await self.git(*arguments)).decode(errors="replace")

    async def create(self, default_branch: str) -> None:
        await run_git("init", "-q", "--bare", "--template=", f"--initial-branch={default_branch}", str(self.path))

    # -------------------------------------------------------------------------------------- refs

    async def refs(self, prefix: str) -> dict[str, str]:
        """Full names of refs at or under `prefix` -> sha, as `git for-each-ref` matches (whole parts)."""
        listed = await self._text("for-each-ref", "--format=%(refname)%00%(objectname)", "--end-of-options", prefix)
        return dict(line.split("\0", 1) for line in listed.splitlines())

    async def branches(self) -> dict[str, str]:
        """Branch names -> sha, by name."""
        found = await self.refs("refs/heads/")
        return {name.removeprefix("refs/heads/"): sha for name, sha in found.items()}

    async def recent_branches(self, limit: int) -> list[tuple[str, str]]:
        """Names and shas of the branches that were committed to last, newest first."""
        listed = await self._text(
            *("for-each-ref", "--sort=-committerdate", f"--count={limit}"),
            *("--format=%(refname)%00%(objectname)", "refs/heads/"),
        )
        pairs = [line.split("\0", 1) for line in listed.splitlines()]
        return [(ref.removeprefix("refs/heads/"), sha) for ref, sha in pairs]

    async def head_of(self, branch_name: str) -> str | None:
        if not is_branch_name(branch_name):
            return None
        return (await self.refs(f"refs/heads/{branch_name}")).get(f"refs/heads/{branch_name}")

    async def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag or a full or shortened commit id names."""
        if not is_branch_name(name):
            return None
        for candidate in (
            f"refs/heads/{name}",
            f"refs/tags/{name}",
            name if re.fullmatch("[0-9a-f]{4,40}", name) else "",
        ):
            if candidate:
                with suppress(GitError):
                    found = await self._text("rev-parse", "--verify", "-q", "--end-of-options", candidate + "^{commit}")
                    return found.strip()
        return None

    async def is_commit(self, sha: str) -> bool:
        with suppress(GitError):
            return _SHA.match(sha) is not None and await self._text("cat-file", "-t", sha) == "commit\n"
        return False

    async def update_ref(self, ref: str, new: str | None, expected: str | None = None) -> None:
        """Moves, makes (`expected`: forty zeros) or deletes (`new`: None) a ref. `GitError` on a conflict."""
        if new is None:
            await self.git("update-ref", "-d", ref, *([expected] if expected else []))
        else:
            await self.git("update-ref", ref, new, *([expected] if expected is not None else []))

    async def set_head(self, branch_name: str) -> None:
        await self.git("symbolic-ref", "HEAD", f"refs/heads/{branch_name}")

    async def is_ancestor(self, older: str, newer: str) -> bool:
        try:
            await self.git("merge-base", "--is-ancestor", older, newer)
        except GitError as error:
            if error.returncode == 1:
                return False
            raise
        return True

    # ----------------------------------------------------------------------------------- commits

    async def commits(
        self,
        start: str,
        *,
        without: str | None = None,
        limit: int = 30,
        skip: int = 0,
        path: str | None = None,
    ) -> list[Commit]:
        """Newest first, from the commit id `start`, leaving out what `without` reaches."""
        arguments = [
            "log",
            "-z",
            _COMMIT_FORMAT,
            f"--max-count={limit}",
            f"--skip={skip}",
            "--end-of-options",
            start,
        ]
        arguments += [f"^{without}"] if without else []
        fields = (await self._text(*arguments, "--", *([path] if path else []))).split("\0")
        return [
            _commit(fields[index : index + _COMMIT_FIELDS])
            for index in range(0, len(fields) - _COMMIT_FIELDS + 1, _COMMIT_FIELDS)
        ]

    async def count(self, start: str, without: str | None = None) -> int:
        arguments = ["rev-list", "--count", "--end-of-options", start, *([f"^{without}"] if without else [])]
        return int(await self._text(*arguments))

    async def ahead_behind(self, base: str, head: str) -> tuple[int, int]:
        """How many commits `head` has that `base` has not, and the reverse. Commit ids."""
        counted = await self._text("rev-list", "--left-right", "--count", "--end-of-options", f"{head}...{base}")
        ahead, behind = counted.split()
        return int(ahead), int(behind)

    async def merge_base(self, one: str, other: str) -> str | None:
        with suppress(GitError):
            return (await self._text("merge-base", one, other)).strip()
        return None

    async def merges_cleanly(self, base: str, head: str) -> bool | None:
        """None when this git is too old to say (`merge-tree --write-tree` came with 2.38)."""
        try:
            await self.git("merge-tree", "--write-tree", "--no-messages", base, head)
        except GitError as error:
            return False if error.returncode == 1 else None
        return True

    async def compare(self, base: str, head: str, *, patches: bool = True) -> Difference:
        """Commit ids; three-dot, as GitHub compares."""
        merge_base = await self.merge_base(base, head)
        ahead, behind = await self.ahead_behind(base, head)
        files = await self.changes(merge_base or EMPTY_TREE, head, patches=patches) if merge_base else []
        return Difference(merge_base, ahead, behind, files)

    async def changes(self, old: str, new: str, *, patches: bool = True) -> list[ChangedFile]:
        """What differs between two trees; patches together are cut at 3 MB."""
        listed = await self.git(*_DIFF, "-z", "--no-abbrev", "--raw", "--numstat", old, new)
        files = parse_changes(listed)
        if patches and files:
            text = await self.git(*_DIFF, "-p", old, new, limit_bytes=_PATCH_LIMIT_BYTES)
            files = split_patches(files, text.decode(errors="replace"), cut=len(text) >= _PATCH_LIMIT_BYTES)
        return files

    async def diff_text(self, old: str, new: str) -> bytes:
        """What differs, as `git apply` takes it; cut at 3 MB."""
        return await self.git(*_DIFF, "-p", "--full-index", "--binary", old, new, limit_bytes=_PATCH_LIMIT_BYTES)

    async def changes_of(self, commit: Commit) -> list[ChangedFile]:
        """What a commit changed against its first parent (against nothing, for the first one)."""
        return await self.changes(commit.parents[0] if commit.parents else EMPTY_TREE, commit.sha)

    # -------------------------------------------------------------------------------------- trees

    async def tree(self, commit: str, path: str) -> list[TreeEntry] | None:
        """The directory at `path` ("" is the root), directories first; None when there is none."""
        try:
            listed = await self.git("ls-tree", "-l", "-z", "--end-of-options", f"{commit}:{path}")
        except GitError:
            return None
        entries = []
        for line in listed.decode(errors="replace").split("\0"):
            if line:
                facts, name = line.split("\t", 1)
                mode, kind, sha, size = facts.split()
                entries.append(TreeEntry(mode, kind, sha, int(size) if size.isdigit() else None, name))
        return sorted(entries, key=lambda entry: (entry.type != "tree", entry.name.lower()))

    async def blob(self, commit: str, path: str, limit_bytes: int = 1024 * 1024) -> bytes | None:
        """The file at `path`, cut at `limit_bytes`; None when there is none."""
        try:
            return await self.git("cat-file", "blob", f"{commit}:{path}", limit_bytes=limit_bytes)
        except GitError:
            return None

    async def commit_files(self, branch_name: str, commits: Sequence[NewCommit]) -> str:
        """Adds commits to a branch (made if absent) and returns its new head."""
        parent = await self.head_of(branch_name)
        stream: list[bytes] = []
        for index, commit in enumerate(commits):
            who = f"{commit.author_name} <{commit.author_email}> {commit.at} +0000"
            message = commit.message.encode()
            stream.append(f"commit refs/heads/{branch_name}\nauthor {who}\ncommitter {who}\n".encode())
            stream.append(b"data %d\n%s\n" % (len(message), message))
            if parent and index == 0:
                stream.append(f"from {parent}\n".encode())
            for path, content in commit.files.items():
                name = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
                if content is None:
                    stream.append(f"D {name}\n".encode())
                else:
                    data = content.encode() if isinstance(content, str) else content
                    stream.append(f"M 100644 inline {name}\n".encode() + b"data %d\n%s\n" % (len(data), data))
        await self.git("fast-import", "--quiet", "--done", stdin=b"".join(stream) + b"done\n")
        head = await self.head_of(branch_name)
        if head is None:
            raise GitError("the commits were not made", 1)
        return head


def _commit(fields: list[str]) -> Commit:
    sha, tree_sha, parents, author_name, author_email, authored_at, *committer, message = fields
    committer_name, committer_email, committed_at = committer
    return Commit(
        sha=sha,
        tree_sha=tree_sha,
        parents=tuple(parents.split()),
        author_name=author_name,
        author_email=author_email,
        authored_at=authored_at,
        committer_name=committer_name,
        committer_email=committer_email,
        committed_at=committed_at,
        message=message.rstrip("\n"),
    )
