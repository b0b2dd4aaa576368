"""What a person asked for when they began a session, complete: made by the start desk, carried out by the starter."""

from __future__ import annotations

from dataclasses import dataclass

from slackbot.core.attachments import Attached
from slackbot.core.repository_name import RepositoryName


@dataclass(frozen=True)
class StartRequest:
    """`base_branch`, `agent`, `model` and `mode` are None where the person said nothing."""

    user_id: str
    channel_id: str
    repository: RepositoryName
    prompt: str
    base_branch: str | None = None
    agent: str | None = None
    model: str | None = None
    mode: str | None = None
    thread_ts: str | None = None
    """The thread that people began and that the session shall live in; None = DevFlow begins one."""
    prompt_ts: str | None = None
    """The message of that thread which holds the prompt, and carries its mark."""
    context: tuple[str, ...] = ()
    """What people said before the prompt; goes to the agent as untrusted context."""
    files: tuple[Attached, ...] = ()
    """What is attached to what goes along; the prompt's own files are those of its message."""
    request_id: str | None = None
    """The form that was sent: sent again, because its acknowledgement was lost, it is the same start."""
    replaces: str | None = None
    """`session_id` of the session that is stopped for this one."""
