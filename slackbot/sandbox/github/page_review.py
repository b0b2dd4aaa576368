"""The side of a pull request's page where one acts: as a reviewer, as CI, as whoever merges.

Pure markup; forms go to `page_actions.py`. No script is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slackbot.sandbox.github.page_parts import Child, Html, badge, card, el, repository_path
from slackbot.sandbox.github.review_store import CheckRow, CommentRow, Person, ReviewRow, Rule, ThreadRow, Ways
from slackbot.sandbox.github.store import PullRow, RepositoryRow

FAILED_LOG = """\
Run python3 -m unittest
F..
======================================================================
FAIL: test_has_a_comma (tests.test_hello.Greeting.test_has_a_comma)
----------------------------------------------------------------------
AssertionError: 'Hello Ada!' != 'Hello, Ada!'

FAILED (failures=1)
##[error]Process completed with exit code 1.
Post job cleanup.
"""
"""What the log of a failed check says when nothing else is written."""

_MARKS = {"SUCCESS": ("✓", "good"), "FAILURE": ("✕", "bad"), "SKIPPED": ("–", "idle"), "NEUTRAL": ("–", "idle")}
_METHOD_WORDS = (
    ("merge", "allow_merge", "Merge commit"),
    ("squash", "allow_squash", "Squash"),
    ("rebase", "allow_rebase", "Rebase"),
)


@dataclass(frozen=True)
class Scene:
    """All that the page shows of one pull request."""

    row: RepositoryRow
    pull: PullRow
    people: Sequence[Person]
    reviews: Sequence[ReviewRow]
    threads: Sequence[ThreadRow]
    comments: Sequence[CommentRow]
    checks: Sequence[CheckRow]
    requested: Sequence[str]
    rule: Rule | None
    ways: Ways
    missing: str
    merges: bool | None
    files: Sequence[str]
    branch_there: bool
    now: int
    acting: str
    at: tuple[str, int] | None = None

    @property
    def action(self) -> str:
        return repository_path(self.row, "pull", str(self.pull.number), "act")

    @property
    def is_open(self) -> bool:
        return self.pull.state == "open"


def act_form(scene: Scene, *children: Child, class_: str | None = None) -> Html:
    """A form of this pull request; who acts is sent along unless a choice in it says."""
    return el("form", *children, method="post", action=scene.action, class_=class_)


def button(do: str, text: str, kind: str = "", *, disabled: bool = False) -> Html:
    return el("button", text, type="submit", name="do", value=do, class_=kind or None, disabled=disabled)


def side(scene: Scene) -> list[Html | None]:
    """The cards in the narrow column."""
    return [_reviewer(scene) if scene.is_open else None, _checks(scene), _merge(scene)]


def _who(scene: Scene) -> Html:
    options = [
        el(
            "option",
            one.login + ("" if one.collaborator else " (no collaborator)"),
            value=one.login,
            selected=one.login == scene.acting,
        )
        for one in scene.people
    ]
    return el("label", el("span", "As", class_="faint"), el("select", options, name="as"), class_="field")


def _reviewer(scene: Scene) -> Html:
    asked = [el("p", "Asked for a review: ", el("b", ", ".join(scene.requested)))] if scene.requested else []
    whole = act_form(
        scene,
        _who(scene),
        el("textarea", name="body", rows=3, placeholder="What do you say?", aria_label="Review"),
        el(
            "div",
            button("approve", "Approve", "good"),
            button("changes", "Request changes", "bad"),
            button("comment", "Comment"),
            class_="buttons",
        ),
    )
    path, line = scene.at or ("", 1)
    files = [el("option", name, value=name, selected=name == path) for name in scene.files]
    on_line = el(
        "details",
        el("summary", "Comment on a line"),
        el("p", "Or press a line's number in the diff.", class_="faint"),
        act_form(
            scene,
            _who(scene),
            el("label", el("span", "File", class_="faint"), el("select", files, name="path"), class_="field"),
            el(
                "label",
                el("span", "Line", class_="faint"),
                el("input", type="number", name="line", min=1, value=line),
                class_="field",
            ),
            el("textarea", name="body", rows=2, placeholder="What is wrong here?", aria_label="Comment"),
            el("div", button("line", "Comment on this line"), class_="buttons"),
        ),
        open=scene.at is not None,
        id="comment-line",
    )
    return card("You are a reviewer", el("div", asked, whole, on_line if files else None, class_="panel"))


def _checks(scene: Scene) -> Html:
    entries = [_check(scene, one) for one in scene.checks]
    failed = sum(one.conclusion == "FAILURE" for one in scene.checks)
    pending = sum(one.conclusion is None for one in scene.checks)
    told = "no checks yet"
    if scene.checks:
        passed = len(scene.checks) - failed - pending
        told = ", ".join(
            f"{number} {word}"
            for number, word in ((failed, "failed"), (pending, "running"), (passed, "passed"))
            if number
        )
    new = act_form(
        scene,
        el(
            "input",
            type="text",
            name="name",
            placeholder="Name of a check",
            required=True,
            aria_label="Name of a check",
        ),
        el(
            "select",
            el("option", "as a check of Actions", value="check"),
            el("option", "as a commit status", value="status"),
            name="kind",
            aria_label="Kind",
        ),
        button("pending", "Start"),
        class_="inline",
    )
    everything = act_form(scene, el("div", button("all-pass", "Let all pass", "good"), class_="buttons"))
    body = el("div", el("ul", entries, class_="checks"), everything if scene.checks else None, new, class_="panel")
    return card("You are CI", body, extra=el("span", told, class_="faint"))


def _check(scene: Scene, check: CheckRow) -> Html:
    mark, kind = _MARKS.get(check.conclusion or "", ("●", "wait"))
    log = el(
        "details",
        el("summary", "The log it fails with"),
        el(
            "textarea",
            check.log if check.conclusion == "FAILURE" else FAILED_LOG,
            name="log",
            rows=6,
            spellcheck="false",
            aria_label="Log",
        ),
    )
    return el(
        "li",
        act_form(
            scene,
            el("input", type="hidden", name="name", value=check.name),
            el("input", type="hidden", name="kind", value=check.kind),
            el(
                "div",
                el("span", mark, class_=f"mark {kind}", title=(check.conclusion or check.status).lower()),
                el("b", check.name, class_="subject"),
                button("passed", "Pass", "good") if check.conclusion != "SUCCESS" else None,
                button("failed", "Fail", "bad") if check.conclusion != "FAILURE" else None,
                button("pending", "Run again") if check.conclusion else None,
                class_="line",
            ),
            log,
        ),
    )


def _merge(scene: Scene) -> Html:
    pull = scene.pull
    if pull.merged:
        told: Child = [el("p", badge("Merged", "merged"), " by ", el("b", pull.merged_by or "someone"))]
        again = None
    elif not scene.is_open:
        told = el("p", badge("Closed", "closed"), " without being merged")
        again = button("reopen", "Reopen") if scene.branch_there else None
    else:
        told = _mergeability(scene)
        again = None
    blocked = pull.draft or scene.merges is False or bool(scene.missing)
    methods = [
        button(f"merge-{method}", words, "good" if not blocked else "", disabled=blocked)
        for method, allowed, words in _METHOD_WORDS
        if getattr(scene.ways, allowed)
    ]
    acts: list[Child] = [again]
    if scene.is_open:
        acts = [
            button("ready", "Ready for review") if pull.draft else button("draft", "Make it a draft"),
            button("conflict", "Cause a conflict") if scene.merges else None,
            button("close", "Close", "bad"),
        ]
    elif scene.branch_there:
        acts.append(button("delete-branch", "Delete the branch"))
    return card(
        "You merge it" if scene.is_open else "How it ended",
        el(
            "div",
            told,
            act_form(scene, el("div", methods, class_="buttons")) if scene.is_open else None,
            act_form(scene, el("div", acts, class_="buttons")),
            class_="panel",
        ),
    )


def _mergeability(scene: Scene) -> Html:
    facts = [
        badge("Draft", "plain") if scene.pull.draft else None,
        badge("Merges without conflicts", "open") if scene.merges else None,
        badge("Conflicts with its base", "closed") if scene.merges is False else None,
    ]
    rule = el("p", scene.missing, class_="faint") if scene.missing else None
    return el("div", el("p", facts), rule)
