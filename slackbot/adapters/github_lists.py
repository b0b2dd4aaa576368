"""What a form about a pull request is filled from, for `GithubCodeHost`: reviewers, the repository's template.

Kept for some minutes, and asked for again with its ETag: an answer of 304 costs nothing of the limit.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from typing import Any
from urllib.parse import quote

from github import GithubException
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_calls import GithubCalls, is_ref
from slackbot.adapters.github_client import Fresh
from slackbot.core.code_host import Repository

FORM_KEPT_SECONDS = 300.0
FORM_ENTRIES = 256
_PAGES_READ = 5
_TEMPLATE_BYTES = 65_536
# https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/creating-a-pull-request-template-for-your-repository
_TEMPLATE_DIRECTORIES = (".github", "", "docs")
_TEMPLATE_NAMES = frozenset({"pull_request_template.md", "pull_request_template.txt", "pull_request_template"})


class Tagged:
    """Answers with their ETag, by repository and path; the oldest are forgotten. For many threads."""

    def __init__(self, entries: int = 512) -> None:
        self._entries = entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[str, Any]] = OrderedDict()

    def get(self, repo: PyGithubRepository, path: str, parameters: dict[str, Any] | None = None) -> Any:
        """The JSON at `path` below the repository; from here when GitHub says that it is still so."""
        key = (repo.url, f"{path}?{sorted((parameters or {}).items())}")
        with self._lock:
            tag, kept = self._kept.get(key, ("", None))
        headers = {"If-None-Match": tag} if tag else None
        answered, found = repo.requester.requestJsonAndCheck("GET", f"{repo.url}{path}", parameters, headers)
        if found is None and tag:  # 304: it is still so
            return kept
        with self._lock:
            if answered.get("etag"):
                self._kept[key] = str(answered["etag"]), found
                while len(self._kept) > self._entries:
                    self._kept.popitem(last=False)
        return found


class GithubLists(GithubCalls):
    """`_tagged` serves all threads; the tokens of one installation see the same answers."""

    _tagged: Tagged
    _reviewers: Fresh[str, list[str]]
    _templates: Fresh[tuple[str, str], str | None]

    async def list_reviewers(self, repository: Repository, prefix: str, limit: int) -> list[str]:
        """Everyone with access to the repository may be asked for a review, but its Apps.

        https://docs.github.com/en/rest/collaborators/collaborators#list-repository-collaborators
        """
        subject = f"the people of `{repository.name}`"

        def ask(repo: PyGithubRepository) -> list[str]:
            logins: list[str] = []
            for page in range(1, _PAGES_READ + 1):
                found = self._tagged.get(repo, "/collaborators", {"per_page": 100, "page": page})
                logins += [str(one["login"]) for one in found if one.get("type") == "User"]
                if len(found) < 100:
                    break
            return sorted(logins, key=str.lower)

        key, wanted = repository.name.full_name.lower(), prefix.strip().removeprefix("@").lower()
        people = await self._reviewers.get(
            key, lambda: self._ask(subject, repository, ask, permission="Metadata: read")
        )
        return [login for login in people if login.lower().startswith(wanted)][:limit]

    async def pull_request_template(self, repository: Repository, ref: str) -> str | None:
        if not is_ref(ref):
            return None

        def ask(repo: PyGithubRepository) -> str | None:
            for directory in _TEMPLATE_DIRECTORIES:
                for entry in self._listing(repo, directory, ref):
                    if entry.get("type") == "file" and str(entry.get("name")).lower() in _TEMPLATE_NAMES:
                        return self._text(repo, str(entry["path"]), ref)
            return None

        key = (repository.name.full_name.lower(), ref)
        subject = f"the pull request template of `{repository.name}`"
        return await self._templates.get(key, lambda: self._ask(subject, repository, ask))

    def _listing(self, repo: PyGithubRepository, directory: str, ref: str) -> list[dict[str, Any]]:
        """https://docs.github.com/en/rest/repos/contents#get-repository-content"""
        try:
            found = self._tagged.get(repo, f"/contents/{directory}", {"ref": ref})
        except GithubException as error:
            if error.status == 404:
                return []
            raise
        return found if isinstance(found, list) else []

    def _text(self, repo: PyGithubRepository, path: str, ref: str) -> str | None:
        found = self._tagged.get(repo, f"/contents/{quote(path)}", {"ref": ref})
        if not isinstance(found, dict) or found.get("encoding") != "base64":
            return None
        text = base64.b64decode(found["content"])[:_TEMPLATE_BYTES].decode(errors="replace").strip()
        return text or None
