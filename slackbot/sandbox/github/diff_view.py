"""Changed files -> markup: each file with its counts and its coloured patch. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from slackbot.sandbox.github.git_diff import ChangedFile
from slackbot.sandbox.github.page_parts import Child, Html, changes_sum, count, el, link, markup, repository_path
from slackbot.sandbox.github.store import RepositoryRow

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_FILES_SHOWN = 300
_LINES_SHOWN = 2000
_BAR_CELLS = 5
_LETTER = {"added": "A", "removed": "D", "renamed": "R", "copied": "C"}


@dataclass
class _Line:
    kind: str  # context, add, delete, hunk or note
    text: str
    old: int | None = None
    new: int | None = None
    marked: tuple[int, int] | None = None


class LineView(Protocol):
    """What a page adds to the lines of the new side."""

    def number(self, path: str, line: int) -> Child: ...

    def below(self, path: str, line: int) -> Html | None: ...


def diff_view(row: RepositoryRow, files: Sequence[ChangedFile], head_sha: str, lines: LineView | None = None) -> Html:
    """The summary line and all files, each to be folded."""
    shown = files[:_FILES_SHOWN]
    additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
    summary = el(
        "p",
        el("b", count(len(files), "changed file")),
        " with ",
        changes_sum(additions, deletions),
        f" (the first {_FILES_SHOWN} are shown)" if len(files) > _FILES_SHOWN else None,
        class_="diffsum",
    )
    return el("div", summary, [_file(row, file, head_sha, lines) for file in shown], class_="diff")


def _file(row: RepositoryRow, file: ChangedFile, head_sha: str, view: LineView | None) -> Html:
    name: Child = file.filename
    if file.status != "removed":
        name = link(repository_path(row, "blob", head_sha, file.filename), file.filename)
    moved = [file.previous_filename, el("span", " → ", class_="faint")] if file.previous_filename else None
    return el(
        "details",
        el(
            "summary",
            el("span", _LETTER.get(file.status, "M"), class_=f"letter {file.status}", title=file.status),
            el("span", moved, name, class_="filename"),
            changes_sum(file.additions, file.deletions),
            _bar(file),
        ),
        _patch(file, view),
        open=True,
        class_="file",
    )


def _bar(file: ChangedFile) -> Html:
    """Five cells that show how much of the change was added and how much taken away."""
    total = file.additions + file.deletions
    plus = round(_BAR_CELLS * file.additions / total) if total else 0
    if file.deletions and file.additions:
        plus = min(max(plus, 1), _BAR_CELLS - 1)
    minus = _BAR_CELLS - plus if total else 0
    cells = ["plus"] * plus + ["minus"] * minus + ["none"] * (_BAR_CELLS - plus - minus)
    return el("span", [el("i", class_=cell) for cell in cells], class_="bar", aria_hidden="true")


def _patch(file: ChangedFile, view: LineView | None) -> Html:
    if file.patch is None:
        if file.binary:
            note = "A binary file: not shown."
        elif file.additions + file.deletions:
            note = "Too large to show here."
        else:
            note = "Nothing but the name changed." if file.previous_filename else "Empty file."
        return el("p", note, class_="note")
    lines = list(_lines(file.patch))
    cut = len(lines) > _LINES_SHOWN
    _mark_words(lines)
    rows = [_row(line, file.filename, view) for line in lines[:_LINES_SHOWN]]
    more = el("p", f"{len(lines) - _LINES_SHOWN:,} more lines are not shown.", class_="note") if cut else None
    return el("div", el("table", el("tbody", rows)), more, class_="patch")


def _lines(patch: str) -> Iterator[_Line]:
    old = new = 0
    for text in patch.split("\n"):
        hunk = _HUNK.match(text)
        if hunk:
            old, new = int(hunk.group(1)), int(hunk.group(2))
            yield _Line("hunk", text)
        elif text.startswith("+"):
            yield _Line("add", text[1:], new=new)
            new += 1
        elif text.startswith("-"):
            yield _Line("delete", text[1:], old=old)
            old += 1
        elif text.startswith("\\"):
            yield _Line("note", text[2:])
        else:
            yield _Line("context", text[1:], old=old, new=new)
            old, new = old + 1, new + 1


def _mark_words(lines: list[_Line]) -> None:
    """Where as many lines were put as were taken, marks what differs within each pair."""
    start = 0
    while start < len(lines):
        middle = start
        while middle < len(lines) and lines[middle].kind == "delete":
            middle += 1
        end = middle
        while end < len(lines) and lines[end].kind == "add":
            end += 1
        if middle > start and end - middle == middle - start:
            for before, after in zip(lines[start:middle], lines[middle:end], strict=True):
                _mark_pair(before, after)
        start = max(end, start + 1)


def _mark_pair(before: _Line, after: _Line) -> None:
    shorter = min(len(before.text), len(after.text))
    head = 0
    while head < shorter and before.text[head] == after.text[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before.text[-1 - tail] == after.text[-1 - tail]:
        tail += 1
    if head + tail >= max(4, shorter // 3):  # lines with little in common are simply other lines
        before.marked = head, len(before.text) - tail
        after.marked = head, len(after.text) - tail


def _row(line: _Line, path: str, view: LineView | None) -> Html:
    if line.kind == "hunk":
        return el("tr", el("td", colspan=2), el("td", line.text), class_="hunk")
    text: Child = line.text
    if line.marked and line.marked[0] < line.marked[1]:
        first, last = line.marked
        text = [line.text[:first], el("mark", line.text[first:last]), line.text[last:]]
    old: Child = "" if line.old is None else str(line.old)
    new: Child = "" if line.new is None else str(line.new)
    below = None
    if view is not None and line.new is not None:
        new = view.number(path, line.new)
        if (more := view.below(path, line.new)) is not None:
            below = el("tr", el("td", more, colspan=3), class_="talk-row")
    shown = el("tr", el("td", old, class_="no"), el("td", new, class_="no"), el("td", text), class_=line.kind)
    return markup([shown, below])
