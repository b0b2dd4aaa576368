"""The Slack adapter when things go wrong, over HTTP: faults, limits, caches, and Slacks that know only half of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from slackbot.adapters.slack import SlackChat
from slackbot.adapters.slack_directory import person_from
from slackbot.adapters.slack_pacing import ChannelPacer
from slackbot.adapters.slack_text import clipped
from slackbot.core.errors import DevflowError, NotFound, PermanentError, TemporaryError, ThreadUnreachable
from slackbot.core.ports import Metadata
from slackbot.sandbox.slack import Fault, SlackStandIn

HERE = "C0SANDBOX"
Handler = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[SlackStandIn]:
    slack = SlackStandIn(tmp_path / "slack.db", bot_token="xoxb-secret", app_token="xapp-test")
    await slack.start()
    yield slack
    await slack.stop()


@contextlib.asynccontextmanager
async def chat_on(api_url: str, **settings: Any) -> AsyncIterator[SlackChat]:
    chat = SlackChat(
        token="xoxb-secret", api_url=api_url, posts_per_second=None, retry_interval_seconds=0.01, **settings
    )
    try:
        yield chat
    finally:
        await chat.close()


@pytest.fixture
async def chat(slack: SlackStandIn) -> AsyncIterator[SlackChat]:
    async with chat_on(slack.api_url, total_seconds=2.0) as chat:
        yield chat


def calls(slack: SlackStandIn, method: str) -> int:
    return sum(call.method == method for call in slack.calls)


async def failure_of(call: Awaitable[Any]) -> DevflowError:
    with pytest.raises(DevflowError) as failed:
        await call
    assert failed.value.summary
    assert "xoxb-secret" not in str(failed.value)
    return failed.value


# What a failed post means


@pytest.mark.parametrize(
    ("fault", "is_unknown"),
    [
        (Fault(drop_after=True), True),
        (Fault(drop_before=True), True),
        (Fault(status=500), True),
        (Fault(status=503), True),
        (Fault(status=502), True),
        (Fault(error="fatal_error"), True),
        (Fault(error="service_unavailable"), False),
        (Fault(status=429, retry_after=7), False),
    ],
)
async def test_a_post_is_sent_once_whatever_comes_back(
    slack: SlackStandIn, chat: SlackChat, fault: Fault, is_unknown: bool
) -> None:
    """A post is never repeated by the adapter, and its failure says whether it may stand."""
    slack.fault = lambda method, _: fault
    error = await failure_of(chat.post_message(HERE, text="once", metadata=Metadata("devflow_answer", {"n": 1})))
    assert isinstance(error, TemporaryError)
    assert error.outcome_unknown is is_unknown
    assert error.retry_after_seconds == (7 if fault.retry_after else None)
    assert calls(slack, "chat.postMessage") == 1
    slack.fault = None
    shown = slack.people.messages("U0ADA", HERE)[0]
    assert len(shown) == (1 if fault.drop_after else 0)


async def test_a_post_that_takes_too_long_may_stand(slack: SlackStandIn) -> None:
    """A time-out after sending leaves the outcome unknown."""
    async with chat_on(slack.api_url, total_seconds=0.1) as chat:
        slack.fault = lambda method, _: Fault(delay_seconds=0.5)
        error = await failure_of(chat.post_message(HERE, text="slow"))
        assert isinstance(error, TemporaryError)
        assert error.outcome_unknown


async def test_a_post_that_was_never_sent_does_not_stand() -> None:
    """When nobody listens at the address nothing was sent, and the error says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api/"
        async with chat_on(url) as chat:
            error = await failure_of(chat.post_message(HERE, text="nobody there"))
    assert isinstance(error, TemporaryError)
    assert not error.outcome_unknown


async def test_after_the_end_nothing_is_sent(slack: SlackStandIn, chat: SlackChat) -> None:
    """A closed chat refuses, and opens no session of its own."""
    await chat.close()
    assert isinstance(await failure_of(chat.post_message(HERE, text="late")), TemporaryError)
    assert slack.calls == []


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429, retry_after=0), Fault(drop_before=True)])
async def test_reads_are_repeated(slack: SlackStandIn, chat: SlackChat, fault: Fault) -> None:
    """A read that fails once in passing is asked again."""
    faults = [fault]
    slack.fault = lambda method, _: faults.pop() if faults else None
    assert (await chat.get_channel(HERE)).is_member
    assert calls(slack, "conversations.info") == 2


async def test_a_long_wait_is_told_and_not_slept(slack: SlackStandIn, chat: SlackChat) -> None:
    """When Slack asks for a minute the caller gets to know, at once."""
    slack.fault = lambda method, _: Fault(status=429, retry_after=60)
    error = await failure_of(chat.get_channel(HERE))
    assert isinstance(error, TemporaryError)
    assert error.retry_after_seconds == 60
    assert calls(slack, "conversations.info") == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("channel_not_found", ThreadUnreachable),
        ("is_archived", ThreadUnreachable),
        ("not_in_channel", ThreadUnreachable),
        ("account_inactive", ThreadUnreachable),
        ("invalid_auth", TemporaryError),
        ("missing_scope", TemporaryError),
        ("not_allowed_token_type", TemporaryError),
        ("not_authed", TemporaryError),
        ("token_expired", TemporaryError),
        ("token_revoked", TemporaryError),
        ("restricted_action", PermanentError),
        ("msg_too_long", PermanentError),
        ("invalid_blocks", PermanentError),
        ("an_error_of_next_year", PermanentError),
        ("ratelimited", TemporaryError),
        ("internal_error", TemporaryError),
    ],
)
async def test_refusals_are_told_in_kind(slack: SlackStandIn, chat: SlackChat, code: str, kind: type) -> None:
    """Each of Slack's errors is of the right kind, names itself, and (but for the passing ones) what to do."""
    slack.fault = lambda method, _: Fault(error=code)
    error = await failure_of(chat.post_message(HERE, text="hello"))
    assert type(error) is kind
    assert error.remedy
    assert kind is TemporaryError or code in error.summary


async def test_a_missing_scope_is_named(tmp_path: Path) -> None:
    """The scope that the app lacks stands in the sentence."""
    slack = SlackStandIn(tmp_path / "slack.db", bot_token="xoxb-secret", app_token="xapp-test", scopes=["chat:write"])
    await slack.start()
    try:
        async with chat_on(slack.api_url) as chat:
            error = await failure_of(chat.get_person("U0ADA"))
    finally:
        await slack.stop()
    assert isinstance(error, PermanentError)
    assert "users:read" in error.summary
    assert "users:read" in error.remedy


async def test_a_refused_token_is_a_sentence(slack: SlackStandIn) -> None:
    """A wrong bot token is told in words that name the setting."""
    chat = SlackChat(token="xoxb-wrong", api_url=slack.api_url)
    try:
        error = await failure_of(chat.identify())
    finally:
        await chat.close()
    assert isinstance(error, PermanentError)
    assert "SLACK_BOT_TOKEN" in error.remedy


# What goes out


async def test_long_and_dirty_text_is_made_fit(slack: SlackStandIn, chat: SlackChat) -> None:
    """40,000 characters, NUL and a lone surrogate, in text and blocks, posted and updated, are no failure."""
    text = "&amp;" * 8000 + "\x00\ud800"
    blocks = [{"type": "section", "text": {"type": "plain_text", "text": "a\x00b\ud800"}}]
    ts = await chat.post_message(HERE, text=text, blocks=blocks)
    await chat.update_message(HERE, ts, text=text)
    message = await chat.get_message(HERE, ts, ts)
    assert message is not None
    assert len(message.text) <= 3900
    assert message.text.removesuffix("…").endswith("&amp;")
    posted = next(call for call in slack.calls if call.method == "chat.postMessage")
    assert posted.args["blocks"][0]["text"]["text"] == "ab"
    assert posted.args["unfurl_links"] is False
    assert posted.args["unfurl_media"] is False


async def test_an_update_takes_old_blocks_away(slack: SlackStandIn, chat: SlackChat) -> None:
    """A message changed to text alone shows no blocks of before."""
    blocks = [{"type": "section", "text": {"type": "plain_text", "text": "old"}}]
    ts = await chat.post_message(HERE, text="old", blocks=blocks)
    await chat.update_message(HERE, ts, text="new")
    assert "blocks" not in slack.people.messages("U0ADA", HERE)[0][0]
    # Slack keeps blocks that an update does not name; an empty list takes them away.
    assert slack.calls[-1].args["blocks"] == []


async def test_blocks_without_words_have_a_notification(slack: SlackStandIn, chat: SlackChat) -> None:
    """Blocks may stand alone; neither text nor blocks is refused before it is sent."""
    await chat.post_message(HERE, text="", blocks=[{"type": "divider"}])
    assert isinstance(await failure_of(chat.post_message(HERE, text=" ")), PermanentError)
    assert calls(slack, "chat.postMessage") == 1


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 10, "short"),
        ("abcdefghijk", 10, "abcdefghi…"),
        ("abcdef&amp;xyz", 10, "abcdef…"),
        ("abcdef&lt;xyz", 9, "abcdef…"),
        ("abcdefgh<@U0123456>", 12, "abcdefgh…"),
        ("1 &lt; 2 &amp;", 14, "1 &lt; 2 &amp;"),
    ],
)
def test_text_is_cut_between_entities(text: str, limit: int, expected: str) -> None:
    """A cut falls neither into `&amp;` nor into `<...>`."""
    assert clipped(text, limit) == expected


# What is kept, and asked once


async def test_people_are_asked_once(slack: SlackStandIn, chat: SlackChat) -> None:
    """Ten who ask at once share one call; an error is not kept; who leaves does not take the others' answer along."""
    asking = [asyncio.create_task(chat.get_person("U0ADA")) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    people = await asyncio.gather(*asking[1:])
    await chat.get_person("U0ADA")
    assert {person.user_id for person in people} == {"U0ADA"}
    assert calls(slack, "users.info") == 1
    assert calls(slack, "auth.test") == 1
    for _ in range(2):
        assert isinstance(await failure_of(chat.get_person("U0NOBODY")), NotFound)
    assert calls(slack, "users.info") == 3


async def test_a_channel_is_asked_again_after_it_changed(slack: SlackStandIn, chat: SlackChat) -> None:
    """An invitation shows once the channel is forgotten."""
    assert not (await chat.get_channel("C0RANDOM")).is_member
    slack.workspace.join("C0RANDOM", slack.workspace.app.bot_user_id)
    assert not (await chat.get_channel("C0RANDOM")).is_member
    chat.forget_channel("C0RANDOM")
    assert (await chat.get_channel("C0RANDOM")).is_member


async def test_long_threads_are_read_page_by_page(slack: SlackStandIn, chat: SlackChat) -> None:
    """What stands beyond the first page is found."""
    root_ts = await slack.people.post_message("U0ADA", HERE, "root")
    for number in range(230):
        await slack.people.post_message("U0ADA", HERE, f"reply {number}", thread_ts=root_ts)
    answer_ts = await chat.post_message(HERE, text="x", thread_ts=root_ts, metadata=Metadata("devflow_answer", {}))
    found = await chat.find_messages(HERE, root_ts, event_type="devflow_answer")
    assert [message.ts for message in found] == [answer_ts]
    assert calls(slack, "conversations.replies") == 2


@pytest.mark.parametrize(
    ("user", "is_guest", "is_stranger"),
    [
        ({"team_id": "T1"}, False, False),
        ({}, False, False),
        ({"is_stranger": True}, False, True),
        ({"team_id": "T2"}, False, True),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T1", "T2"]}}, False, False),
        ({"team_id": "T1", "is_restricted": True}, True, False),
        ({"team_id": "T1", "is_ultra_restricted": True}, True, False),
    ],
)
def test_who_is_one_of_us(user: dict[str, Any], is_guest: bool, is_stranger: bool) -> None:
    """Another team's people are strangers, unless both teams are of one organisation."""
    person = person_from(user, "U1", "T1")
    assert (person.is_guest, person.is_stranger) == (is_guest, is_stranger)
    assert person.name == "U1"


# The pace


async def test_posts_go_before_changes_when_both_wait() -> None:
    """A burst goes at once; then posts have their turn before progress that came earlier; too long a queue is told."""
    pacer = ChannelPacer(50.0, burst=2, longest_post_wait_seconds=0.1)
    order: list[str] = []

    async def turn(name: str, *, is_change: bool = False) -> None:
        await pacer.turn("C1", is_change=is_change)
        order.append(name)

    await turn("burst 1")
    await turn("burst 2")
    waiting = [
        asyncio.create_task(turn("change", is_change=True)),
        asyncio.create_task(turn("cancelled")),
        asyncio.create_task(turn("post 1")),
        asyncio.create_task(turn("post 2")),
    ]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await pacer.turn("C2")
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["burst 1", "burst 2", "post 1", "post 2", "change"]
    pacer.hold("C1", 60)
    error = await failure_of(pacer.turn("C1"))
    assert isinstance(error, TemporaryError)
    assert error.retry_after_seconds is not None
    assert not error.outcome_unknown


# Slacks that are not quite Slack


@contextlib.asynccontextmanager
async def slack_of(answer: Handler) -> AsyncIterator[str]:
    """A server that answers every method with what `answer(method, arguments)` returns; its API address."""

    async def handle(request: web.Request) -> web.StreamResponse:
        arguments: dict[str, Any] = {**request.query}
        if request.content_type == "application/json" and request.can_read_body:
            arguments |= await request.json()
        answered = answer(request.match_info["method"], arguments)
        return answered if isinstance(answered, web.StreamResponse) else web.json_response(answered)

    application = web.Application()
    application.router.add_route("*", "/api/{method}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/api"
    finally:
        await runner.cleanup()


IDENTITY = {"ok": True, "user_id": "U0BOT", "team_id": "T1"}
UNKNOWN = {"ok": False, "error": "unknown_method"}


async def test_a_slack_that_knows_little_is_enough() -> None:
    """Missing methods and fields take harmless values; only who a person is must be said."""

    def answer(method: str, _: dict[str, Any]) -> Any:
        return {"auth.test": IDENTITY, "conversations.replies": {"ok": True}}.get(method, UNKNOWN)

    async with slack_of(answer) as url, chat_on(url) as chat:
        channel = await chat.get_channel("C1")
        assert (channel.is_member, channel.is_shared_outside, channel.is_archived) == (True, False, False)
        assert await chat.get_permalink("C1", "1.1") is None
        assert await chat.find_messages("C1", "1.1", event_type="x") == []
        assert await chat.get_message("C1", "1.1", "1.2") is None
        await chat.add_reaction("C1", "1.1", "eyes")
        assert isinstance(await failure_of(chat.get_person("U1")), PermanentError)


async def test_a_bare_user_object_is_a_member() -> None:
    """A users.info without flags, or nearly empty, is no crash and no guest; a flagged one is refused as ever."""
    users = {"U1": {"id": "U1", "name": "una"}, "U2": {"is_restricted": True, "profile": None}}

    def answer(method: str, arguments: dict[str, Any]) -> Any:
        if method == "users.info":
            return {"ok": True, "user": users[arguments["user"]]}
        return IDENTITY

    async with slack_of(answer) as url, chat_on(url) as chat:
        una = await chat.get_person("U1")
        assert (una.name, una.is_guest, una.is_stranger) == ("una", False, False)
        assert (await chat.get_person("U2")).is_guest


async def test_other_apps_messages_are_not_ours() -> None:
    """Metadata of our type under another app's name, or a person's, is not taken for ours."""
    metadata = {"event_type": "devflow_answer", "event_payload": {}}
    messages = [
        {"ts": "1.1", "user": "U0OTHERBOT", "bot_id": "B2", "text": "root", "metadata": metadata},
        {"ts": "1.2", "user": "U1", "text": "reply", "metadata": metadata},
        {"ts": "1.3", "user": "U0BOT", "text": "ours", "metadata": metadata},
        {"ts": "1.4", "bot_id": "B1", "text": "ours, too", "metadata": metadata},
        {"text": "no ts"},
        "no message at all",
    ]

    def answer(method: str, _: dict[str, Any]) -> Any:
        return {"ok": True, "messages": messages} if method == "conversations.replies" else {**IDENTITY, "bot_id": "B1"}

    async with slack_of(answer) as url, chat_on(url) as chat:
        found = await chat.find_messages("C1", "1.1", event_type="devflow_answer")
    assert [message.ts for message in found] == ["1.3", "1.4"]


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html"), TemporaryError),
        (lambda: web.Response(status=404, text="no such page"), PermanentError),
        (lambda: web.Response(text='{"ok": tr', content_type="application/json"), TemporaryError),
        (lambda: web.Response(text="[]", content_type="application/json"), TemporaryError),
        (lambda: web.Response(text="[1]", content_type="application/json"), PermanentError),
        (lambda: web.Response(text="welcome to the hotel's network"), PermanentError),
    ],
)
async def test_answers_that_are_not_slacks_are_told(made: Callable[[], web.Response], kind: type) -> None:
    """Whatever answers at the address, the failure is one of ours."""
    async with slack_of(lambda method, _: made()) as url, chat_on(url) as chat:
        assert type(await failure_of(chat.post_message("C1", text="hello"))) is kind


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.txt", True),
        ("https://slack.com/files/a.txt", True),
        ("http://files.slack.com/files-pri/T1-F1/a.txt", False),
        ("https://slack.com.example/a.txt", False),
        ("https://notslack.com/a.txt", False),
        ("https://example.com/@slack.com", False),
        ("https://slack.com@example.com/a.txt", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
async def test_the_token_goes_to_slack_only(url: str, is_sent: bool) -> None:
    """Only Slack's own hosts over TLS, and the host of the API address, ever see the token."""
    async with chat_on("http://127.0.0.1:1/api/") as chat:
        assert chat.files.may_get_token(url) is is_sent
        assert chat.files.may_get_token("http://127.0.0.1:2/files/a.txt")


async def test_a_file_kept_elsewhere_is_not_fetched() -> None:
    """A file on another host is refused in words, with no request sent there."""

    def answer(method: str, _: dict[str, Any]) -> Any:
        return {"ok": True, "file": {"id": "F1", "url_private": "http://localhost:9/a.txt"}}

    async with slack_of(answer) as url, chat_on(url) as chat:
        error = await failure_of(chat.read_file("F1", 100))
    assert isinstance(error, PermanentError)
    assert "localhost" in error.summary


async def test_the_proxy_of_the_environment_is_not_for_this_machine(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in on loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with chat_on(slack.api_url) as chat:
        assert (await chat.identify()).user_id
