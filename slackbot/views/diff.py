"""**View diff**: a form with what one prompt changed, file by file with its hunks, page by page.

Made by the answer desk from the code host's comparison; within what a form may hold:
https://docs.slack.dev/reference/views/modal-views
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slackbot.core.errors import DevflowError
from slackbot.core.ports import ChangedFile
from slackbot.core.session import Session, Turn
from slackbot.views import action_ids
from slackbot.views.blocks import Block, actions, button, context, modal, preformatted, section
from slackbot.views.language import say
from slackbot.views.words import code, is_web_url, link, shown

_CHUNK = 2_800
_PAGE_CHARACTERS, _PAGE_BLOCKS = 12_000, 60
_FILE_CHARACTERS = 60_000
"""So much of one file is shown; the rest is a click away on the code host."""
_MARKS = {"added": "🟢", "removed": "🔴", "renamed": "🔵"}

Modal = dict[str, Any]


@dataclass(frozen=True)
class DiffPlace:
    """Which answer's diff a form shows: kept in its `private_metadata`."""

    channel_id: str
    thread_ts: str
    turn_id: str

    def text(self) -> str:
        return json.dumps([self.channel_id, self.thread_ts, self.turn_id])

    @classmethod
    def parse(cls, text: str) -> DiffPlace | None:
        try:
            parts = json.loads(text)
        except ValueError:
            return None
        is_whole = isinstance(parts, list) and len(parts) == 3 and all(isinstance(part, str) for part in parts)
        return cls(*parts) if is_whole else None


def diff_loading(place: DiffPlace, language: str) -> Modal:
    """Shown at once, until the code host has told."""
    return _form(place, [section(say(language, "diff.loading"))], language)


def diff_failed(place: DiffPlace, error: DevflowError, language: str) -> Modal:
    """Why there is nothing to see, in the error's own words."""
    return _form(place, [section(shown(f"{error.summary} {error.remedy}", 2_000))], language)


def diff_modal(
    session: Session,
    turn: Turn,
    commits: tuple[str, str],
    files: Sequence[ChangedFile],
    place: DiffPlace,
    page: int,
    language: str,
) -> Modal:
    """Page `page` (from 0; the last one where there are fewer) of what `commits` (base, head) changed."""
    additions, deletions = sum(file.additions for file in files), sum(file.deletions for file in files)
    counted = say(language, "answer.files", number=len(files))
    lines = say(language, "answer.lines", files=counted, additions=additions, deletions=deletions)
    address = f"{session.repository_url}/compare/{commits[0]}...{commits[1]}"
    parts = [lines]
    if is_web_url(address):
        parts.append(link(address, say(language, "diff.on_github")))
    blocks: list[Block] = [context(*parts)]
    if not files:
        blocks.append(section(say(language, "diff.nothing")))
    pages = diff_pages(files, language)
    at = min(max(page, 0), len(pages) - 1) if pages else 0
    if pages:
        blocks += pages[at]
    if len(pages) > 1:
        previous = button(say(language, "diff.previous"), f"{action_ids.DIFF_PAGE_PREFIX}previous", str(at - 1))
        following = button(say(language, "diff.next"), f"{action_ids.DIFF_PAGE_PREFIX}next", str(at + 1))
        blocks += actions(previous if at else None, following if at + 1 < len(pages) else None)
        blocks.append(context(say(language, "diff.page", page=at + 1, pages=len(pages))))
    return _form(place, blocks, language)


def diff_pages(files: Sequence[ChangedFile], language: str) -> list[list[Block]]:
    """The files one after the other, cut into pages between lines; a file that goes on says so on the next page."""
    pages: list[list[Block]] = []
    page: list[Block] = []
    room = _PAGE_CHARACTERS
    for file in files:
        head = _head(file, language)
        for number, chunk in enumerate(_chunks(file, language)):
            needed = len(chunk) + 200
            if page and (needed > room or len(page) + 2 > _PAGE_BLOCKS):
                pages.append(page)
                page, room = [], _PAGE_CHARACTERS
            if number == 0 or not page:
                page.append(section(head if number == 0 else say(language, "diff.continued", file=head)))
            page.append(preformatted(chunk) if file.patch else context(chunk))
            room -= needed
    return [*pages, page] if page else pages


def _head(file: ChangedFile, language: str) -> str:
    mark = _MARKS.get(file.status, "⚪")
    name = code(file.filename, 300)
    if file.previous_filename:
        name = say(language, "diff.renamed", old=code(file.previous_filename, 300), new=name)
    return f"{mark} {name}  +{file.additions:,} −{file.deletions:,}"


def _chunks(file: ChangedFile, language: str) -> list[str]:
    """The hunks in pieces that fit into a block, cut between lines; a sentence where there are none."""
    if not file.patch:
        return [say(language, "diff.no_hunks")]
    patch = file.patch if len(file.patch) <= _FILE_CHARACTERS else file.patch[:_FILE_CHARACTERS]
    chunks: list[str] = []
    chunk = ""
    for line in patch.split("\n"):
        short = line if len(line) <= _CHUNK else line[: _CHUNK - 1] + "…"
        if chunk and len(chunk) + 1 + len(short) > _CHUNK:
            chunks.append(chunk)
            chunk = ""
        chunk = f"{chunk}\n{short}" if chunk else short
    if len(patch) < len(file.patch):
        chunk += "\n" + say(language, "diff.rest_on_github")
    return [*chunks, chunk]


def _form(place: DiffPlace, blocks: list[Block], language: str) -> Modal:
    return modal(say(language, "diff.title"), blocks, close=say(language, "modal.close"), private_metadata=place.text())
