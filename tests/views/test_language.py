"""The catalogue is whole: every language has every text with the same fields, and views have no texts of their own."""

from __future__ import annotations

import ast
import functools
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slackbot.core import events as ev
from slackbot.core.session import Permission, Session
from slackbot.views.answer import answer
from slackbot.views.card import card
from slackbot.views.language import DEFAULT, LANGUAGES, Plural, Template, language_of, say
from slackbot.views.progress import ProgressPicture, progress
from slackbot.views.replies import help_text, session_status
from slackbot.views.words import age, duration
from tests.core.builders import T0, answered, ended_turn, tell, working
from tests.views.block_limits import as_read, check

SLACKBOT = Path(__file__).parents[2] / "slackbot"
ENGLISH = LANGUAGES[DEFAULT]
OTHERS = sorted(set(LANGUAGES) - {DEFAULT})

NOT_READ_IN_SLACK = {"pull_request.py"}
"""Views of what stands on GitHub, where nobody's locale is known."""

NOT_TEXTS = {"(no words)", "start [owner/repo] PROMPT"}
"""A mark that is read again (`card.NO_WORDS`), and what is typed the same way in every language."""

SHOWN_BY = {"section", "context", "button", "link_button", "confirm", "fields"}
"""Building blocks that show a string as it is."""

PHRASE = re.compile(r"[A-Za-z]{2,}[,;:.]? [A-Za-z]{2,}")
WORD = re.compile(r"[A-Za-z]{2,}")


def forms(template: Template) -> list[str]:
    return [template.one, template.other] if isinstance(template, Plural) else [template]


def fields_of(template: Template) -> set[str]:
    found = {name for form in forms(template) for _, name, _, _ in string.Formatter().parse(form) if name is not None}
    return found | {"number"} if isinstance(template, Plural) else found


def trees(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(root.rglob("*.py")):
        if "language" not in path.relative_to(root).parts:
            yield path, ast.parse(path.read_text())


@functools.cache
def code() -> list[tuple[Path, ast.Module]]:
    return list(trees(SLACKBOT))


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_text(language: str) -> None:
    """Add the missing ones to slackbot/views/language/<language>.py, and take away what English no longer has."""
    texts = LANGUAGES[language]
    assert sorted(set(ENGLISH) - set(texts)) == [], f"missing in {language}.py"
    assert sorted(set(texts) - set(ENGLISH)) == [], f"only in {language}.py"


@pytest.mark.parametrize("language", OTHERS)
def test_the_same_fields_in_every_language(language: str) -> None:
    """A field that only one language names would be lost, or would fail when it is filled."""
    differing = {}
    for key, template in LANGUAGES[language].items():
        theirs, ours = fields_of(template), fields_of(ENGLISH[key])
        # A language without plurals may do without the number.
        if theirs - ours or (ours - theirs) - {"number"}:
            differing[key] = (ours, theirs)
    assert differing == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_untranslated(language: str) -> None:
    """What is longer than a few words is not the same in two languages."""
    for key, template in LANGUAGES[language].items():
        for form in forms(template):
            assert form.strip(), key
            assert "{}" not in form, key
            if language != DEFAULT and PHRASE.search(re.sub(r"`[^`]*`|\{\w+\}", "", form)):
                assert form not in forms(ENGLISH[key]), f"{key} is not translated"


def test_every_text_is_used() -> None:
    """A key stands as a string somewhere in the code; a text that no view says is taken away."""
    strings = {
        node.value
        for _, tree in code()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    built = {
        # Keys made from a code of `core.errors`.
        key
        for key in ENGLISH
        if key.startswith("error.") and key.rpartition(".")[0].removeprefix("error.") in strings
    }
    assert sorted(set(ENGLISH) - strings - built) == []


def test_what_is_said_is_in_the_catalogue() -> None:
    """Each `say` names a text that is there, and gives it exactly the fields it has."""
    faults = []
    for path, tree in code():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"):
                continue
            given = {keyword.arg for keyword in node.keywords if keyword.arg}
            spread = any(keyword.arg is None for keyword in node.keywords)
            for key in _keys(node.args[1]) if len(node.args) > 1 else []:
                where = f"{path.name}:{node.lineno} {key}"
                if key not in ENGLISH:
                    faults.append(f"{where} is not in en.py")
                elif not spread and given != fields_of(ENGLISH[key]):
                    faults.append(f"{where} is given {sorted(given)}, has {sorted(fields_of(ENGLISH[key]))}")
    assert faults == []


def _keys(node: ast.expr) -> list[str]:
    """The keys an argument of `say` may be: one, or one of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return _keys(node.body) + _keys(node.orelse) if isinstance(node, ast.IfExp) else []


def test_views_have_no_texts_of_their_own() -> None:
    """What people read stands in the catalogue: put it into en.py and ja.py, and `say` it."""
    found = []
    for path, tree in trees(SLACKBOT / "views"):
        if path.name in NOT_READ_IN_SLACK:
            continue
        not_shown = _docstrings(tree) | _patterns(tree)
        for node in ast.walk(tree):
            if id(node) not in not_shown and _is_phrase(node):
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SHOWN_BY:
                shown = node.args[:1] if node.func.id in ("button", "link_button") else node.args
                found += [f"{path.name}:{node.lineno} {text!r}" for text in map(_literal, shown) if text]
    assert found == []


def _is_phrase(node: ast.AST) -> bool:
    """A string with two words in it that is neither a mark nor a command."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and PHRASE.search(node.value) is not None
        and node.value not in NOT_TEXTS
        and not node.value.startswith("/devflow ")
    )


def _docstrings(tree: ast.Module) -> set[int]:
    """Strings that stand alone: docstrings of modules, functions and attributes."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _patterns(tree: ast.Module) -> set[int]:
    """Patterns are no texts."""
    patterns = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compile"
    ]
    return {id(part) for node in patterns for part in ast.walk(node)}


def _literal(node: ast.expr) -> str:
    """The letters a shown argument has of itself; "" when all of them come from the catalogue or from outside."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.search(node.value):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part for part in map(_literal, node.values) if part)
    return ""


def test_a_locale_names_a_language() -> None:
    """Slack's locales have a region; languages that DevFlow does not speak are English."""
    locales = ("ja-JP", "en-GB", "en-US", "de-DE", "ja", "", None)
    assert [language_of(locale) for locale in locales] == ["ja", "en", "en", "en", "ja", "en", "en"]


def test_say_fills_in() -> None:
    """Numbers with separators, plurals by number, English for a language that is not known."""
    assert say("en", "answer.files", number=1) == "1 file changed"
    assert say("en", "answer.files", number=1_200) == "1,200 files changed"
    assert say("ja", "answer.files", number=1_200) == "1,200 ファイルを変更"
    assert say("xx", "button.retry") == "Retry"
    assert (duration(125, "ja"), age(7_200, "ja")) == ("2 分 5 秒", "2 時間前")


def japanese(session: Session) -> Session:
    return replace(session, thread=replace(session.thread, language="ja"))


def test_a_japanese_thread_reads() -> None:
    """The whole of a card and an answer, and nothing English in them but names."""
    session = japanese(working())
    assert as_read(card(session)) == (
        "fix the flaky checkout test\n"
        "*リポジトリ*: <https://github.com/acme/shop|acme/shop>\n"
        "*ブランチ*: <https://github.com/acme/shop/tree/devflow/fix-the-test-0b0c0d0e|devflow/fix-the-test-0b0c0d0e>"
        " – ベース `main`\n"
        "*オーナー*: <@U0000001>\n"
        "*エージェント*: shell\n"
        "🔵 *処理中* – <@U0000001> さんの指示\n"
        "タスク *RUNNING* – ワーカーが動いています · コミットはまだありません\n"
        "[停止]"
    )
    ended = tell(session, ended_turn(session, response="できました。"), now=T0 + 65)
    assert as_read(answer(ended, ended.history[0]).view) == (
        "できました。\n<@U0000001> さんの指示 · 所要 1 分 5 秒 · 変更なし"
    )
    cancelling = tell(session, ev.CancelRequested("U2"))
    assert "*取り消し中*" in as_read(progress(cancelling, cancelling.history[0], ProgressPicture()))


def test_who_reads_alone_reads_their_own_language() -> None:
    """A status asked for by a Japanese reader of an English thread."""
    view = session_status(answered(), T0 + 3_600, language="ja")
    check(view)
    assert "*実行中*" in as_read(view)
    assert "<@U0000001> さんが開始（1 時間前）" in as_read(view)
    assert "タスク *RUNNING*" in as_read(view)
    check(help_text(language="ja"))
    assert "`/devflow stop 1a2b3c4d`" in as_read(help_text(language="ja"))


def test_the_card_says_who_is_waited_for() -> None:
    """While the agent asks leave for something nothing goes on without the owner."""
    session = working()
    turn_id = session.history[0].turn_id
    asked = Permission(
        "p1", turn_id, "rm -r build", ({"option_id": "a", "name": "Allow", "kind": "allow_once"},), T0, T0 + 600
    )
    assert "🟠 *Waiting for <@U0000001>*" in as_read(card(replace(session, permissions=(asked,))))
