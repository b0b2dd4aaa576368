"""What a new sandbox opens with: the first thread, the links beside the channels, the slash command and the shortcut.

`manifest.yml` describes the same to the real Slack; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

from slackbot.sandbox.github.demo import FIX_COMMAND

COMMANDS = (
    {
        "command": "/devflow",
        "description": "Start a development session in a thread, or look after yours",
        "usage_hint": "start [owner/repo] [base=BRANCH] [agent=NAME] what to do | list | status | stop | cancel | pr | "
        "retry | forget | help",
        "should_escape": False,
    },
)

SHORTCUTS = (
    {
        "name": "Work on this",
        "type": "message",
        "callback_id": "work_on_this",
        "description": "Starts a session with this message as the prompt, in its thread",
    },
)

TRIES = (
    ("Run the tests", "/devflow start demo/hello python3 -m unittest"),
    ("Fix the failing one", f"/devflow start demo/hello {FIX_COMMAND}"),
    ("Ask in plain words", "/devflow start demo/hello add a goodbye function"),
)
"""Three prompts to click: one that shows, one that changes, one that shows what the shell agent is not."""


def welcome_thread(repository_url: str, local_names: tuple[str, ...], agents: str = "") -> list[dict[str, Any]]:
    """The first thread: what this is, what to try, where the result can be seen."""
    intro = (
        "*Welcome to the DevFlow sandbox.* A thread here is a development session: DevFlow makes a branch, starts a "
        "worker, and sends what you write in the thread to a coding agent."
    )
    here = (
        f"It works on a real git repository, <{repository_url}|demo/hello>, which has one failing test. "
        "The agent in the sandbox is a plain shell, no AI: it runs what you type as a command."
    )
    buttons = [
        {
            "type": "button",
            "action_id": f"sandbox_try_{number}",
            "text": {"type": "plain_text", "text": label},
            "value": command,
        }
        for number, (label, command) in enumerate(TRIES, 1)
    ]
    steps = (
        "*Then, in the session's thread:*\n"
        f"• reply with the next command, for example `{TRIES[0][1].split(' ', 3)[3]}`\n"
        "• press *Open PR* when something was pushed, and look at the diff\n"
        "• press *Stop*, or write `!stop`; `!help` shows the rest"
    )
    root = {
        "text": "Welcome to the DevFlow sandbox. Pick one of three prompts to try.",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": intro}},
            {"type": "section", "text": {"type": "mrkdwn", "text": here}},
            {"type": "actions", "block_id": "sandbox_tries", "elements": buttons},
        ],
    }
    more = (
        "*Other ways to begin:* `/devflow` alone opens a form; `@DevFlow fix ...` works in a channel and in a thread "
        "that people began; so do a direct message, and *Work on this* in a message's menu. *DevFlow Home* shows your "
        "sessions. *Behind the scenes* shows what is stored, and lets you kill the bot: nothing is lost."
    )
    replies = [_said(steps), _said(more)]
    if agents:
        replies.append(_said(agents))
    if local_names:
        names = ", ".join(f"`{name}`" for name in local_names)
        replies.append(_said(f"Your own: {names} – copies of your repositories; the originals are never written."))
    return [root, *replies]


def _said(text: str) -> dict[str, Any]:
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}
