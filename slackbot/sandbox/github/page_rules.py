"""The card of a repository's page where its rules are set: protection, ways to merge, the checks of its CI. Pure."""

from __future__ import annotations

from slackbot.sandbox.github.page_parts import Html, card, el, repository_path
from slackbot.sandbox.github.review_store import ReviewStore, Rule, Ways
from slackbot.sandbox.github.store import RepositoryRow

WAYS = (
    ("allow_merge", "Merge commits"),
    ("allow_squash", "Squash merges"),
    ("allow_rebase", "Rebase merges"),
    ("delete_branch", "Delete the branch after a merge"),
)


def rules_card(row: RepositoryRow, store: ReviewStore) -> Html:
    ways, rule = store.ways(row.id), store.rule(row.id, row.default_branch)
    boxes = [_box(name, words, getattr(ways, name)) for name, words in WAYS]
    protected = [
        _box("protected", f"Protect {row.default_branch}: pull requests only", rule is not None),
        el(
            "label",
            el("span", "Approvals", class_="faint"),
            el("input", type="number", name="approvals", min=0, max=6, value=rule.approvals if rule else 1),
            class_="field",
        ),
        _text("required", "Required checks", ", ".join(rule.checks) if rule else "", "test, lint"),
    ]
    ci = _text("ci", "Checks of the CI", ", ".join(ways.ci), "test, lint")
    form = el(
        "form",
        boxes,
        el("hr"),
        protected,
        el("hr"),
        ci,
        el("div", el("button", "Keep these rules", type="submit"), class_="buttons"),
        method="post",
        action=repository_path(row, "rules"),
    )
    return card("Rules", el("details", el("summary", _told(ways, rule)), form, class_="panel"))


def _told(ways: Ways, rule: Rule | None) -> str:
    parts = ["protected" if rule else "nothing is protected"]
    parts += [f"CI: {', '.join(ways.ci)}"] if ways.ci else ["no CI"]
    told = "; ".join(parts)
    return told[:1].upper() + told[1:]


def _box(name: str, words: str, checked: bool) -> Html:
    return el("label", el("input", type="checkbox", name=name, value="1", checked=checked), " ", words, class_="box")


def _text(name: str, words: str, value: str, example: str) -> Html:
    shown = el("input", type="text", name=name, value=value, placeholder=example)
    return el("label", el("span", words, class_="faint"), shown, class_="field")
