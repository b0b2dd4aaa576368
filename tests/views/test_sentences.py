"""Errors and ends, which core and desks write in English, are known in every other language."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from slackbot.core.errors import Refused
from slackbot.core.session import EndedBy
from slackbot.core.turn_rules import keep_prompt
from slackbot.views.answer import answer
from slackbot.views.card import card
from slackbot.views.errors import error_view
from slackbot.views.language import ja, translated
from tests.core.builders import T0, failed, prompt, stopped
from tests.views.block_limits import as_read

SLACKBOT = Path(__file__).parents[2] / "slackbot"
ERRORS = set(
    "UsageError Refused NotAdmitted NotFound PermanentError TemporaryError DevflowError TaskReport AgentFailed "
    "NotPushed NotMerged CannotUndo".split()
)
READ_BY_PEOPLE = (
    "core/access.py core/command_text.py core/handing_over.py core/joined_turns.py core/listening.py "
    "core/pull_request_rules.py core/repository_name.py core/session_rules.py core/task_report.py core/turn_rules.py "
    "core/undo_rules.py admission.py answer_desk.py command_desk.py forget_desk.py form_desk.py front_desk.py "
    "hand_over_desk.py listen_desk.py session_limits.py pull_request_acts.py pull_request_desk.py session_start.py "
    "start_checks.py start_desk.py start_reading.py adapters/github.py adapters/github_checks.py "
    "adapters/github_errors.py adapters/github_lists.py adapters/github_pulls.py adapters/github_refs.py "
    "adapters/ecs_client.py adapters/ecs_errors.py adapters/list_cursor.py worker/acp_session.py worker/agent.py "
    "worker/agent_process.py worker/agents.py worker/checkout.py worker/merging.py worker/publish.py worker/turn.py "
    "worker/undo.py"
).split()
"""Desks, what GitHub and ECS answer, how tasks ended, and how prompts failed in the worker."""

NEVER_READ = {"A turn shows {} files at most."}
"""A worker is told so, not a person."""

KNOWN_OTHERWISE = {
    "{} prompt was answered, so there is nothing to run again.",
    "{}{} was not found on GitHub.",
    "{} was not found on GitHub.",
    "The agent {} {}: {}.{}",
    "{} Did you mean `{}`?",
    "`{}` of `{}` was not found on GitHub.",
    "{} ({})",
    "It could not be undone: later commits changed the same lines in {}{}. Nothing was changed.",
}
"""A field of theirs is one of some words, and each of those sentences is known; or two fields stand for one."""


def form(text: str) -> str:
    """The sentence without the names of its fields."""
    return re.sub(r"\{[^{}]*\}", "{}", text)


def literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


@pytest.mark.parametrize("path", READ_BY_PEOPLE)
def test_every_error_that_people_read_is_translated(path: str) -> None:
    """Add its English form to SENTENCES of slackbot/views/language/ja.py."""
    known = {form(english) for english in ja.SENTENCES} | NEVER_READ | KNOWN_OTHERWISE
    missing = []
    for node in ast.walk(ast.parse((SLACKBOT / path).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            for argument in node.args[:2]:
                text = literal(argument)
                if text and text not in known and not re.fullmatch(r"[{} ]*", text) and not _by_sentence(text, known):
                    missing.append(text)
    assert missing == []


def _by_sentence(text: str, known: set[str]) -> bool:
    """Whether it is made of sentences that are known one by one."""
    return all(part in known for part in re.split(r"(?<=[.?])\s+|(?<=\})\s+(?=[A-Z])", text) if part not in ("{}", ""))


def test_fields_and_no_empty_words() -> None:
    for english, text in ja.SENTENCES.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", text)), english
        assert text.strip()


def test_a_sentence_is_known_again() -> None:
    """With what was filled in, which may itself be known; several one after the other; and what is not stays."""
    read = translated("ja", "Only the person who started this session, or an administrator, may stop it.")
    assert read == "セッションの停止ができるのは、このセッションのオーナーか管理者だけです。"
    two = translated("ja", "Cancelled, but the worker did not confirm it. It may have done part of the work; "
                           "what it pushed is on the branch.")  # fmt: skip
    assert two == (
        "取り消しましたが、ワーカーの確認がありません。"
        "作業の一部は済んでいるかもしれません。プッシュした内容はブランチにあります。"
    )
    assert translated("ja", "Something else. And more.") == "Something else. And more."
    assert translated("ja", "Try again in a moment. Something {odd}.") == (
        "少し待ってからもう一度お試しください。Something {odd}."
    )
    assert translated("ja", "The branch `x` of `acme/shop` was not found on GitHub.") == (
        "`acme/shop` のブランチ `x` が GitHub に見つかりません。"
    )
    assert translated("ja", "The worker ended before its session did. (Host EC2 (i-1) terminated)") == (
        "ワーカーがセッションより先に終わりました。(Host EC2 (i-1) terminated)"
    )
    said = "GitHub refused the push: Protected branch. Undo those first, or ask the agent to take it back by hand."
    assert translated("ja", said).startswith("GitHub がプッシュを拒否しました: Protected branch.")
    assert translated("en", "Try again in a moment.") == "Try again in a moment."
    assert translated("xx", "Try again in a moment.") == "Try again in a moment."


def test_errors_cards_and_ends_read_japanese() -> None:
    error = Refused("10 prompts wait in this session already.", "Try again when some are done.")
    assert as_read(error_view(error, language="ja")) == (
        "このセッションではすでに 10 件の指示が待っています。\nいくつか終わってから、もう一度お試しください。"
    )
    session = failed()
    session = replace(session, thread=replace(session.thread, language="ja"))
    assert "ワーカーが強制終了されました（終了コード 137）。" in as_read(card(session))
    ended = stopped()
    ended = replace(ended, thread=replace(ended.thread, language="ja"))
    assert ended.ended is not None
    assert ended.ended.by is EndedBy.PERSON
    kept = keep_prompt(ended, prompt(5), T0)
    assert "実行していません。セッションは停止しています。" in as_read(answer(kept, kept.history[-1]).view)
