"""What was said on a pull request, on its page: reviews and comments on the whole, and those on lines of the diff.

Pure markup; forms go to `page_actions.py`.
"""

from __future__ import annotations

from urllib.parse import urlencode

from slackbot.sandbox.github import markdown
from slackbot.sandbox.github.page_parts import Html, ago, badge, card, el, link, repository_path
from slackbot.sandbox.github.page_review import Scene, act_form, button
from slackbot.sandbox.github.review_store import ThreadRow

_VERDICTS = {
    "APPROVED": ("approved these changes", "open"),
    "CHANGES_REQUESTED": ("asked for changes", "closed"),
    "COMMENTED": ("reviewed", "plain"),
    "DISMISSED": ("had a review dismissed", "plain"),
}


def conversation(scene: Scene) -> Html | None:
    """Reviews and comments on the whole, oldest first; those on lines stand in the diff."""
    entries: list[tuple[int, int, Html]] = []
    for review in scene.reviews:
        if not review.body and review.state == "COMMENTED":
            continue  # stands round a single comment on a line
        words, kind = _VERDICTS[review.state]
        head = el("p", el("b", review.login), " ", badge(words, kind), el("span", ago(review.submitted_at, scene.now)))
        entries.append(
            (review.submitted_at, review.id, _said(scene, f"pullrequestreview-{review.id}", head, review.body))
        )
    for comment in scene.comments:
        if comment.thread_id is None:
            head = el("p", el("b", comment.login), " commented ", el("span", ago(comment.created_at, scene.now)))
            entries.append(
                (comment.created_at, comment.id, _said(scene, f"issuecomment-{comment.id}", head, comment.body))
            )
    if not entries:
        return None
    return card("Conversation", el("ol", [entry for _, _, entry in sorted(entries)], class_="talk"))


def _said(scene: Scene, anchor: str, head: Html, body: str) -> Html:
    text = _text(scene, body) if body else None
    return el("li", head, text, id=anchor)


def _text(scene: Scene, body: str) -> Html:
    return markdown.render(body, lambda target: repository_path(scene.row, "blob", scene.pull.head_sha, target))


def thread_row(scene: Scene, thread: ThreadRow) -> Html:
    """A thread under its line of the diff."""
    mine = [one for one in scene.comments if one.thread_id == thread.id]
    entries = [
        el(
            "li",
            el("p", el("b", one.login), " ", el("span", ago(one.created_at, scene.now), class_="faint")),
            _text(scene, one.body),
            id=f"discussion_r{one.id}",
        )
        for one in mine
    ]
    forms = act_form(
        scene,
        el("input", type="hidden", name="thread", value=thread.id),
        el("input", type="hidden", name="as", value=scene.acting),
        el("input", type="text", name="body", placeholder=f"Reply as {scene.acting}", aria_label="Reply"),
        button("reply", "Reply"),
        button("unresolve" if thread.resolved else "resolve", "Unresolve" if thread.resolved else "Resolve"),
        class_="inline",
    )
    title = badge("resolved", "open") if thread.resolved else None
    outdated = badge("outdated", "warn") if thread.commit_sha != scene.pull.head_sha else None
    return el("div", title, outdated, el("ol", entries, class_="talk"), forms, class_="thread")


def outdated_threads(scene: Scene, shown: set[int]) -> Html | None:
    """Threads whose line the diff does not show any more."""
    rest = [one for one in scene.threads if one.id not in shown]
    if not rest:
        return None
    entries = [el("li", el("p", el("code", f"{one.path}:{one.line}")), thread_row(scene, one)) for one in rest]
    return card("On lines that are not in the diff any more", el("ul", entries, class_="talk"))


def line_link(scene: Scene, path: str, line: int) -> Html:
    """A line's number in the diff, which begins a comment there."""
    if not scene.is_open:
        return el("span", str(line))
    query = urlencode({"as": scene.acting, "at": f"{path}:{line}"})
    target = f"{repository_path(scene.row, 'pull', str(scene.pull.number))}?{query}#comment-line"
    return link(target, str(line), title="Comment on this line")
