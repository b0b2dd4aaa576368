"""Why a check failed, for `GithubCodeHost`: what the check run says, and the end of its job's log.

https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/actions/workflow-jobs
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from github import GithubException
from github.Repository import Repository as PyGithubRepository

from slackbot.adapters.github_calls import GithubCalls, cut
from slackbot.adapters.github_client import REQUEST_TIMEOUT_SECONDS
from slackbot.core.check_log import relevant_end, tail
from slackbot.core.code_host import CheckDetails, Repository
from slackbot.core.errors import PermanentError

log = structlog.get_logger()

_ACTIONS = "github-actions"
_ANNOTATIONS_SHOWN = 20
_LOG_KEPT_BYTES = 1024 * 1024
_LOG_READ_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 65_536


class GithubChecks(GithubCalls):
    """A job of GitHub Actions has the id of its check run, and a log."""

    async def check_details(self, repository: Repository, check_run_id: int, limit_bytes: int) -> CheckDetails:
        subject = f"the check {check_run_id} of `{repository.name}`"

        def ask(repo: PyGithubRepository) -> CheckDetails:
            _, found = repo.requester.requestJsonAndCheck("GET", f"{repo.url}/check-runs/{check_run_id}")
            output: dict[str, Any] = found.get("output") or {}
            parts = [str(output.get(name) or "").strip() for name in ("summary", "text")]
            if output.get("annotations_count"):
                parts.append(_annotations(repo, check_run_id))
            summary = cut("\n\n".join(part for part in parts if part), max(1, limit_bytes // 8))
            text = ""
            if (found.get("app") or {}).get("slug") == _ACTIONS:
                text = relevant_end(_job_log(repo, check_run_id), limit_bytes - len(summary.encode()))
            return CheckDetails(
                name=str(found["name"]),
                conclusion=str(found.get("conclusion") or found.get("status") or ""),
                title=cut(str(output.get("title") or ""), 300),
                summary=tail(summary, limit_bytes),
                log_tail=text,
                url=found.get("html_url") or found.get("details_url"),
            )

        return await self._ask(subject, repository, ask, permission="Checks: read")


def _annotations(repo: PyGithubRepository, check_run_id: int) -> str:
    """The places in files that the check complains of, a line each."""
    path, parameters = f"{repo.url}/check-runs/{check_run_id}/annotations", {"per_page": _ANNOTATIONS_SHOWN}
    _, found = repo.requester.requestJsonAndCheck("GET", path, parameters=parameters)
    return "\n".join(
        f"{one.get('path')}:{one.get('start_line')}: {cut(' '.join(str(one.get('message') or '').split()), 300)}"
        for one in found
        if one.get("path") != ".github"  # "Process completed with exit code 1." of the job as a whole
    )


def _job_log(repo: PyGithubRepository, job_id: int) -> str:
    """The end of the log; "" where there is none (yet, any more, or the App may not read Actions)."""
    try:
        headers, _ = repo.requester.requestBlobAndCheck("GET", f"{repo.url}/actions/jobs/{job_id}/logs")
    except GithubException as error:
        log.info("github_job_log_unavailable", status=error.status)
        # An error of GitHub's own may last as long as the log does: then it is done without.
        if error.status in {403, 404, 410} or error.status >= 500:
            return ""
        raise
    location = str(headers.get("location") or "")
    if urlsplit(location).scheme not in {"https", urlsplit(repo.requester.graphql_url).scheme}:
        raise PermanentError("GitHub's address of the log is none that DevFlow follows.")
    # The address is signed, on another host, and good for a minute; our token does not go there.
    try:
        with requests.get(location, stream=True, timeout=REQUEST_TIMEOUT_SECONDS) as response:
            response.raise_for_status()
            return _end_of(response)
    except requests.RequestException as error:
        log.info("github_job_log_unread", error=type(error).__name__)
        return ""


def _end_of(response: requests.Response) -> str:
    kept: deque[bytes] = deque(maxlen=_LOG_KEPT_BYTES // _CHUNK_BYTES)
    read = 0
    for chunk in response.iter_content(_CHUNK_BYTES):
        kept.append(chunk)
        read += len(chunk)
        if read > _LOG_READ_BYTES:
            break
    return b"".join(kept).decode(errors="replace")
