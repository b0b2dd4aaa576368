"""Notices about what models cost: a limit that is nearly or wholly used up, and one that was granted once more."""

from __future__ import annotations

from slackbot.core.session import Notice, Session
from slackbot.core.spending import amount_words
from slackbot.views import action_ids
from slackbot.views.blocks import Block, actions, button, section
from slackbot.views.language import say
from slackbot.views.view import View
from slackbot.views.words import joined, mention

_SCOPES = {
    "turn": "spending.turn",
    "session": "spending.session",
    "person": "spending.person",
    "month": "spending.month",
}


def spending_near(session: Session, notice: Notice) -> View:
    return _limit(session, notice, "spending.near", "🟡 ")


def spending_reached(session: Session, notice: Notice) -> View:
    return _limit(session, notice, "spending.reached", "🔴 ")


def spending_extended(session: Session, notice: Notice) -> View:
    language = session.language
    scopes = [_SCOPES[name] for name in notice.values.get("scopes", "").split(",") if name in _SCOPES]
    user = mention(notice.values.get("user_id", ""))
    told = joined(*(say(language, "spending.extended", user=user, scope=say(language, key)) for key in scopes))
    text = say(language, "spending.extended_text")
    return View(text, [section("🟢 " + (told or text))])


def _limit(session: Session, notice: Notice, key: str, mark: str) -> View:
    language, values = session.language, notice.values
    unit = values.get("unit", "tokens")
    told = say(
        language,
        key,
        scope=say(language, _SCOPES.get(values.get("scope", ""), "spending.session")),
        used=_amount(values.get("used", ""), unit, language),
        limit=_amount(values.get("limit", ""), unit, language),
    )
    return View(told, [section(mark + told), *_extend_button(session)])


def _extend_button(session: Session) -> list[Block]:
    label = say(session.language, "button.extend")
    return actions(button(label, action_ids.SPENDING_EXTEND, session.session_id))


def _amount(number: str, unit: str, language: str) -> str:
    whole = int(number) if number.isdecimal() else 0
    return amount_words(whole, unit) if unit == "microdollars" else say(language, "spending.tokens", number=whole)
