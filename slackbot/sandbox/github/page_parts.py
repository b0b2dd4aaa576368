"""Building blocks of the pages: escaped elements, the frame round every page, dates, badges. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote

from slackbot.sandbox.github.git_commands import Commit
from slackbot.sandbox.github.store import PullRow, RepositoryRow

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_UNITS = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"))


class Html(str):
    """Markup that is safe as it stands. Every other string is escaped by `el`."""

    __slots__ = ()


Child: TypeAlias = "str | Html | Iterable[Child] | None"


def markup(child: Child) -> Html:
    """Children as markup: text escaped, None left out, sequences joined."""
    if child is None:
        return Html("")
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return Html(html.escape(child))
    return Html("".join(markup(one) for one in child))


def el(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element; `class_` stands for class, `_` for `-`. An attribute that is None or False is left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{markup(children)}</{name}>")


def link(target: str, *children: Child, class_: str | None = None, title: str | None = None) -> Html:
    """A link within the stand-in; `target` is a path whose parts `path` has quoted."""
    return el("a", *children, href=target, class_=class_, title=title)


def path(*parts: str) -> str:
    """Names -> a URL path. Slashes inside a part stay, for branches and files."""
    return "/" + "/".join(quote(part) for part in parts if part)


def repository_path(row: RepositoryRow, *parts: str) -> str:
    return path(row.full_name, *parts)


def badge(text: str, kind: str = "plain") -> Html:
    return el("span", text, class_=f"badge {kind}")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def ago(then: str | int, now: int) -> Html:
    """A date as people say it, the exact one on hover. `then` is ISO 8601 or Unix seconds."""
    moment = datetime.fromtimestamp(then, UTC) if isinstance(then, int) else datetime.fromisoformat(then)
    seconds = now - int(moment.timestamp())
    words = "just now"
    for unit_seconds, unit in _UNITS:
        if seconds >= unit_seconds:
            words = f"{count(seconds // unit_seconds, unit)} ago"
            break
    exact = moment.strftime("%d %B %Y, %H:%M %z").lstrip("0")
    return el("time", words, datetime=moment.isoformat(), title=exact)


def short_sha(row: RepositoryRow, sha: str) -> Html:
    return link(repository_path(row, "commit", sha), sha[:7], class_="sha")


def repository_badges(row: RepositoryRow, *, empty: bool) -> Html:
    return markup(
        [
            badge("private") if row.private else None,
            badge("archived", "warn") if row.archived else None,
            badge("no commits yet", "warn") if empty else None,
            None if row.installed else badge("App not installed", "warn"),
        ]
    )


def pull_state(pull: PullRow) -> Html:
    if pull.merged:
        return badge("Merged", "merged")
    if pull.state == "closed":
        return badge("Closed", "closed")
    return badge("Draft", "plain") if pull.draft else badge("Open", "open")


def changes_sum(additions: int, deletions: int) -> Html:
    return el("span", el("b", f"+{additions:,}", class_="plus"), " ", el("b", f"−{deletions:,}", class_="minus"))


def commit_list(row: RepositoryRow, commits: Iterable[Commit], now: int) -> Html:
    return el(
        "ol",
        [
            el(
                "li",
                link(repository_path(row, "commit", commit.sha), commit.subject or "(no message)", class_="subject"),
                el("span", commit.author_name, " · ", ago(commit.authored_at, now), class_="faint"),
                short_sha(row, commit.sha),
            )
            for commit in commits
        ],
        class_="commits",
    )


def pull_list(row: RepositoryRow, pulls: Iterable[PullRow], now: int) -> Html:
    return el(
        "ul",
        [
            el(
                "li",
                pull_state(pull),
                link(repository_path(row, "pull", str(pull.number)), pull.title, class_="subject"),
                el("span", f"#{pull.number} · ", ago(pull.created_at, now), class_="faint"),
            )
            for pull in pulls
        ],
        class_="pulls",
    )


def card(title: Child, *children: Child, extra: Child = None) -> Html:
    return el("section", el("header", el("h2", title), extra), *children, class_="card")


def heading(row: RepositoryRow, *children: Child, trail: Sequence[tuple[str, str | None]] = ()) -> Html:
    """The line that says where one is: owner / name / ..., each part a link but the last."""
    parts: list[Child] = [link("/", "Repositories")]
    trail = [(row.full_name, repository_path(row)), *trail] if trail else []
    for text, target in trail:
        parts += [el("span", "/", class_="faint"), link(target, text) if target else el("span", text)]
    return el("div", el("nav", parts, class_="trail", aria_label="Where you are"), *children, class_="heading")


def page(title: str, *children: Child) -> str:
    """A whole document."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · GitHub stand-in"),
        el("link", rel="stylesheet", href="/static/style.css"),
        el("link", rel="icon", href="/static/avatar.svg", type="image/svg+xml"),
    )
    top = el(
        "header",
        link("/", el("img", src="/static/avatar.svg", alt="", width=22, height=22), "GitHub stand-in", class_="brand"),
        el("span", "real git, on this machine only", class_="faint"),
        class_="top",
    )
    return f"<!doctype html>\n{el('html', head, el('body', top, el('main', *children)), lang='en')}\n"
