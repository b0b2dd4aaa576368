"""A small part of Markdown -> markup, for READMEs and pull requests. Pure; whatever it does not know stays text.

Known: headings, paragraphs, fenced and indented code, lists, quotes, rules; `code`, **strong**, *emphasis*, links.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from slackbot.sandbox.github.page_parts import Child, Html, el, markup

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s{0,3}([-*+]|\d{1,9}[.)])\s+(.*)")
_RULE = re.compile(r" {0,3}([-*_])( *\1){2,} *$")
_QUOTE = re.compile(r" {0,3}> ?(.*)")
_INLINE = re.compile(
    r"(?P<tick>`{1,6})(?P<code>.{1,2000}?)(?P=tick)(?!`)"
    r"|\*\*(?P<strong>[^*\n]{1,1000})\*\*"
    r"|(?<![\w*])\*(?P<emphasis>[^*\s][^*\n]{0,1000})\*(?![\w*])"
    r"|\[(?P<label>[^\]\n]{1,500})\]\((?P<target>[^()\s]{1,1000})\)"
    r"|(?P<url>https?://[^\s<>()`]{1,1000}[^\s<>()`.,;:!?'\"])",
    re.DOTALL,
)
_SAFE_TARGET = re.compile(r"(https?://|[#/]|[\w.-]+(?:/[\w.-]+)*/?(?:#\S*)?$)", re.IGNORECASE)

_QUOTES_NESTED = 4

Resolve = Callable[[str], str]


def render(text: str, resolve: Resolve = lambda target: target) -> Html:
    """`resolve` turns a relative link into one of the stand-in's own."""
    lines = text.replace("\r\n", "\n").replace("\0", "").expandtabs(4).split("\n")
    return el("div", _blocks(lines, resolve), class_="markdown")


def _blocks(lines: list[str], resolve: Resolve, nested: int = 0) -> list[Html]:
    blocks: list[Html] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
        elif line.lstrip().startswith("<!--"):  # a comment: in the text, and not to be seen
            while position < len(lines) and "-->" not in lines[position]:
                position += 1
            position += 1
        elif fence := _FENCE.match(line):
            end = position + 1
            while end < len(lines) and not lines[end].lstrip().startswith(fence.group(1)):
                end += 1
            blocks.append(_code(lines[position + 1 : end]))
            position = end + 1
        elif line.startswith("    "):
            end = position
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            blocks.append(_code([part[4:] for part in lines[position:end]]))
            position = end
        elif heading := _HEADING.match(line):
            blocks.append(el(f"h{len(heading.group(1))}", _inline(heading.group(2), resolve)))
            position += 1
        elif _RULE.match(line):
            blocks.append(el("hr"))
            position += 1
        elif _QUOTE.match(line):
            end = position
            while end < len(lines) and _QUOTE.match(lines[end]):
                end += 1
            inner = [_QUOTE.sub(r"\1", part, count=1) for part in lines[position:end]]
            # Quotes within quotes within quotes are a way to exhaust the stack.
            deeper = nested < _QUOTES_NESTED
            quoted = _blocks(inner, resolve, nested + 1) if deeper else _inline("\n".join(inner), resolve)
            blocks.append(el("blockquote", quoted))
            position = end
        elif _ITEM.match(line):
            ordered = line.lstrip()[0].isdigit()
            items, position = _items(lines, position, ordered)
            blocks.append(el("ol" if ordered else "ul", [el("li", _inline(item, resolve)) for item in items]))
        else:
            end = position + 1
            while end < len(lines) and lines[end].strip() and not _begins_block(lines[end]):
                end += 1
            blocks.append(el("p", _inline("\n".join(part.strip() for part in lines[position:end]), resolve)))
            position = end
    return blocks


def _begins_block(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_FENCE, _HEADING, _ITEM, _RULE, _QUOTE))


def _items(lines: list[str], position: int, ordered: bool) -> tuple[list[str], int]:
    items: list[str] = []
    while position < len(lines):
        line = lines[position]
        begun = _ITEM.match(line)
        if begun and begun.group(1)[0].isdigit() != ordered:
            break
        if begun:
            items.append(begun.group(2))
        elif line.strip() and (line.startswith(" ") or not _begins_block(line)):
            items[-1] += "\n" + line.strip()
        elif line.strip() or position + 1 >= len(lines) or not _ITEM.match(lines[position + 1]):
            break
        position += 1
    return items, position


def _code(lines: list[str]) -> Html:
    return el("pre", el("code", "\n".join(lines).rstrip("\n") + "\n"))


def _inline(text: str, resolve: Resolve) -> Html:
    parts: list[Child] = []
    position = 0
    for found in _INLINE.finditer(text):
        parts.append(text[position : found.start()])
        position = found.end()
        target = found["target"] or found["url"]
        if found["code"] is not None:
            parts.append(el("code", found["code"].strip()))
        elif found["strong"] is not None:
            parts.append(el("strong", found["strong"]))
        elif found["emphasis"] is not None:
            parts.append(el("em", found["emphasis"]))
        elif not _SAFE_TARGET.match(target):
            parts.append(found.group())
        else:
            known = target.startswith(("http://", "https://", "#", "/"))
            parts.append(
                el("a", found["label"] or target, href=target if known else resolve(target), rel="noopener noreferrer")
            )
    parts.append(text[position:])
    return markup(parts)
