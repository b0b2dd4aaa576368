"""Block Kit's limits, block by block and element by element.

`block_rules.py` starts a `BlockCheck` for each message or view and reads its problems. Pure.
https://docs.slack.dev/reference/block-kit/blocks and .../block-elements
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MARKDOWN_CHARACTERS = 12_000

_BOTH = frozenset({"actions", "context", "divider", "header", "image", "rich_text", "section", "video"})
MESSAGE_TYPES = _BOTH | {
    "alert", "card", "carousel", "container", "context_actions", "data_table", "file", "input",
    "markdown", "plan", "table", "task_card",
}  # fmt: skip
VIEW_TYPES = _BOTH | {"input", "alert"}

_SELECTS = frozenset(
    f"{many}{kind}_select"
    for many in ("", "multi_")
    for kind in ("static", "external", "users", "conversations", "channels")
)
_PICKERS = frozenset({"checkboxes", "datepicker", "datetimepicker", "radio_buttons", "timepicker"})
_INPUTS = frozenset(
    {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input"}
)
ACTION_ELEMENTS = frozenset({"button", "overflow", "workflow_button"}) | _SELECTS | _PICKERS | {"rich_text_input"}
INPUT_ELEMENTS = _INPUTS | _SELECTS | _PICKERS
ACCESSORIES = ACTION_ELEMENTS | {"image"}

_KNOWN = {
    "actions": {"elements"},
    "context": {"elements"},
    "divider": set[str](),
    "header": {"text"},
    "image": {"alt_text", "image_url", "slack_file", "title"},
    "input": {"label", "element", "hint", "optional", "dispatch_action"},
    "markdown": {"text"},
    "rich_text": {"elements"},
}
"""Fields beside `type` and `block_id`; of other types none is checked."""


class BlockCheck:
    """Collects the problems of one message or view."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.markdown_characters = 0

    def add(self, problem: str, pointer: str) -> None:
        self.problems.append(f"[ERROR] {problem} [json-pointer:{pointer}]")

    def string(self, parent: Json, key: str, limit: int, at: str, *, required: bool = False) -> None:
        value = parent.get(key)
        if value is None:
            if required:
                self.add(f"missing required field: {key}", at)
        elif not isinstance(value, str):
            self.add("must provide a string", f"{at}/{key}")
        elif required and not value:
            self.add("must be more than 0 characters", f"{at}/{key}")
        elif len(value) > limit:
            self.add(f"must be less than {limit + 1} characters", f"{at}/{key}")

    def text(self, parent: Json, key: str, limit: int, at: str, *, plain: bool = False, required: bool = False) -> None:
        value = parent.get(key)
        if value is None:
            if required:
                self.add(f"missing required field: {key}", at)
            return
        at = f"{at}/{key}"
        if not isinstance(value, dict):
            self.add("must provide an object", at)
            return
        allowed = ("plain_text",) if plain else ("plain_text", "mrkdwn")
        if value.get("type") not in allowed:
            self.add(f"unsupported text type: {value.get('type')} (expected {' or '.join(allowed)})", f"{at}/type")
        extra = set(value) - {"type", "text", "emoji" if value.get("type") == "plain_text" else "verbatim"}
        self.unknown(extra, at)
        self.string(value, "text", limit, at, required=True)

    def unknown(self, names: set[str], at: str) -> None:
        for name in sorted(names):
            self.add(f"no more than 0 additional properties allowed, failed constraint: {name}", at)

    def items(self, parent: Json, key: str, low: int, high: int, at: str) -> list[Json]:
        value = parent.get(key)
        if value is None and low == 0:
            return []
        if not isinstance(value, list):
            self.add(f"missing required field: {key}" if value is None else "must be a valid array", at)
            return []
        if len(value) < low:
            self.add(f"no fewer than {low} items allowed", f"{at}/{key}")
        if len(value) > high:
            self.add(f"no more than {high} items allowed", f"{at}/{key}")
        kept = [item for item in value if isinstance(item, dict)]
        if len(kept) != len(value):
            self.add("must provide an object", f"{at}/{key}")
        return kept

    # Blocks

    def blocks(self, blocks: Any, limit: int, types: frozenset[str], at: str = "/blocks") -> None:
        if not isinstance(blocks, list):
            self.add("must be a valid array", at)
            return
        if len(blocks) > limit:
            self.add(f"no more than {limit} items allowed", at)
        seen: set[str] = set()
        for number, block in enumerate(blocks):
            where = f"{at}/{number}"
            if not isinstance(block, dict):
                self.add("must provide an object", where)
                continue
            kind = block.get("type")
            if kind not in types:
                self.add(f"unsupported type: {kind}", f"{where}/type")
                continue
            self.string(block, "block_id", 255, where)
            block_id = block.get("block_id")
            if isinstance(block_id, str) and block_id:
                if block_id in seen:
                    self.add(f"`block_id` already exists: {block_id}", f"{where}/block_id")
                seen.add(block_id)
            self.block(str(kind), block, where)
        if self.markdown_characters > MARKDOWN_CHARACTERS:
            self.add(f"markdown blocks must be less than {MARKDOWN_CHARACTERS + 1} characters together", at)

    def block(self, kind: str, block: Json, at: str) -> None:
        if kind in _KNOWN:
            self.unknown(set(block) - {"type", "block_id"} - _KNOWN[kind], at)
        if kind == "rich_text":
            self.rich_text(self.items(block, "elements", 1, 1_000, at), f"{at}/elements")
        elif kind == "section":
            self.section(block, at)
        elif kind == "header":
            self.text(block, "text", 150, at, plain=True, required=True)
        elif kind == "markdown":
            self.string(block, "text", MARKDOWN_CHARACTERS, at, required=True)
            self.markdown_characters += len(block["text"]) if isinstance(block.get("text"), str) else 0
        elif kind == "context":
            for number, element in enumerate(self.items(block, "elements", 1, 10, at)):
                where = f"{at}/elements/{number}"
                if element.get("type") == "image":
                    self.image(element, where)
                else:
                    self.text({"element": element}, "element", 3000, f"{where}#")
        elif kind in ("actions", "context_actions"):
            limit = 25 if kind == "actions" else 5
            allowed = ACTION_ELEMENTS if kind == "actions" else frozenset({"feedback_buttons", "icon_button"})
            self.elements(self.items(block, "elements", 1, limit, at), allowed, f"{at}/elements")
        elif kind == "input":
            self.text(block, "label", 2000, at, plain=True, required=True)
            self.text(block, "hint", 2000, at, plain=True)
            field: Any = block.get("element")
            if isinstance(field, dict):
                self.element(field, INPUT_ELEMENTS, f"{at}/element")
            else:
                self.add("missing required field: element", at)
        elif kind == "image":
            self.image(block, at)
            self.text(block, "title", 2000, at, plain=True)
        elif kind == "table":
            rows = block.get("rows")
            if not isinstance(rows, list) or not 1 <= len(rows) <= 100:
                self.add("must have 1 to 100 rows", f"{at}/rows")
            elif any(not isinstance(row, list) or len(row) > 20 for row in rows):
                self.add("no more than 20 cells allowed in a row", f"{at}/rows")

    def rich_text(self, elements: list[Json], at: str) -> None:
        """https://docs.slack.dev/reference/block-kit/blocks/rich-text-block"""
        for number, element in enumerate(elements):
            where = f"{at}/{number}"
            kind = element.get("type")
            if kind == "rich_text_list":
                self.rich_text(self.items(element, "elements", 1, 1_000, where), f"{where}/elements")
            elif kind in ("rich_text_section", "rich_text_quote", "rich_text_preformatted"):
                for inner_number, inner in enumerate(self.items(element, "elements", 1, 10_000, where)):
                    if inner.get("type") == "text":
                        self.string(inner, "text", 40_000, f"{where}/elements/{inner_number}", required=True)
            else:
                self.add(f"unsupported type: {kind}", f"{where}/type")

    def section(self, block: Json, at: str) -> None:
        self.unknown(set(block) - {"type", "block_id", "text", "fields", "accessory", "expand"}, at)
        if block.get("text") is None and not block.get("fields"):
            self.add("missing required field: text (or fields)", at)
        self.text(block, "text", 3000, at)
        for number, field in enumerate(self.items(block, "fields", 0, 10, at)):
            self.text({"field": field}, "field", 2000, f"{at}/fields/{number}#")
        accessory = block.get("accessory")
        if isinstance(accessory, dict):
            self.element(accessory, ACCESSORIES, f"{at}/accessory")

    def image(self, image: Json, at: str) -> None:
        self.string(image, "alt_text", 2000, at, required=True)
        self.string(image, "image_url", 3000, at)
        if not image.get("image_url") and not image.get("slack_file"):
            self.add("missing required field: image_url", at)

    # Elements

    def elements(self, elements: list[Json], allowed: frozenset[str], at: str) -> None:
        seen: set[str] = set()
        for number, element in enumerate(elements):
            where = f"{at}/{number}"
            self.element(element, allowed, where)
            action_id = element.get("action_id")
            if isinstance(action_id, str) and action_id:
                if action_id in seen:
                    self.add(f"`action_id` already exists: {action_id}", f"{where}/action_id")
                seen.add(action_id)

    def element(self, element: Json, allowed: frozenset[str], at: str) -> None:
        kind = element.get("type")
        if kind not in allowed:
            self.add(f"unsupported type: {kind}", f"{at}/type")
            return
        if kind == "image":
            self.image(element, at)
            return
        self.string(element, "action_id", 255, at)
        self.confirm(element, at)
        self.text(element, "placeholder", 150, at, plain=True)
        if kind == "button":
            known = {"type", "action_id", "text", "value", "url", "style", "confirm", "accessibility_label"}
            self.unknown(set(element) - known, at)
            self.text(element, "text", 75, at, plain=True, required=True)
            self.string(element, "value", 2000, at)
            self.string(element, "url", 3000, at)
            self.string(element, "accessibility_label", 75, at)
            if element.get("style") not in (None, "primary", "danger"):
                self.add("must be one of: primary, danger", f"{at}/style")
        elif kind in ("static_select", "multi_static_select"):
            if element.get("option_groups"):
                for number, group in enumerate(self.items(element, "option_groups", 1, 100, at)):
                    self.options(group, 100, f"{at}/option_groups/{number}")
            else:
                self.options(element, 100, at)
        elif kind in ("external_select", "multi_external_select"):
            self.one_option(element, "initial_option", at)
            self.one_option(element, "initial_options", at)
        elif kind == "overflow":
            self.options(element, 5, at)
        elif kind in ("checkboxes", "radio_buttons"):
            self.options(element, 10, at)
        if kind in ("static_select", "radio_buttons") and element.get("initial_option") is not None:
            offered = [*element.get("options", ())]
            offered += [one for group in element.get("option_groups", ()) for one in group.get("options", ())]
            if element["initial_option"] not in offered:
                self.add("must be one of the options", f"{at}/initial_option")
        if kind == "plain_text_input":
            self.string(element, "initial_value", 3000, at)
            for key in ("min_length", "max_length"):
                length = element.get(key)
                if length is not None and not (isinstance(length, int) and 0 <= length <= 3000):
                    self.add("must be between 0 and 3000", f"{at}/{key}")

    def options(self, parent: Json, limit: int, at: str) -> None:
        for number, option in enumerate(self.items(parent, "options", 1, limit, at)):
            where = f"{at}/options/{number}"
            self.text(option, "text", 75, where, required=True)
            self.text(option, "description", 75, where)
            self.string(option, "value", 150, where, required=True)

    def one_option(self, element: Json, key: str, at: str) -> None:
        """What is chosen at first in a menu whose options come from elsewhere."""
        chosen: Any = element.get(key)
        several = chosen if isinstance(chosen, list) else [chosen] if chosen is not None else []
        if several:
            self.options({"options": several}, 100, f"{at}/{key}")

    def confirm(self, element: Json, at: str) -> None:
        confirm: Any = element.get("confirm")
        if confirm is None:
            return
        at = f"{at}/confirm"
        if not isinstance(confirm, dict):
            self.add("must provide an object", at)
            return
        self.text(confirm, "title", 100, at, plain=True, required=True)
        self.text(confirm, "text", 300, at, required=True)
        self.text(confirm, "confirm", 30, at, plain=True, required=True)
        self.text(confirm, "deny", 30, at, plain=True, required=True)
