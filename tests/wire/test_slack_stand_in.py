"""The Slack stand-in against a real Bolt app over a real socket: commands, events, modals, redelivery, restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from slackbot.sandbox.slack import PersonRefusedError, SlackStandIn
from tests.fakes.slack_workspace import APP_TOKEN, Bot, connected_bot, running_stand_in, until, web_client

CHANNEL_ID = "C0SANDBOX"
ADA, GRACE = "U0ADA", "U0GRACE"


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[SlackStandIn]:
    async with running_stand_in(tmp_path / "slack.db", retry_delays_seconds=(0.0, 0.05, 0.05)) as running:
        yield running


def shown(stand_in: SlackStandIn, user_id: str = ADA, channel_id: str = CHANNEL_ID) -> list[dict[str, Any]]:
    return stand_in.people.messages(user_id, channel_id)[0]


def button(action_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": action_id}, **fields}


def modal(**fields: Any) -> dict[str, Any]:
    prompt = {"type": "plain_text_input", "action_id": "text", "max_length": 20}
    return {
        "type": "modal",
        "callback_id": "start",
        "title": {"type": "plain_text", "text": "Start"},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": [
            {
                "type": "input",
                "block_id": "prompt",
                "label": {"type": "plain_text", "text": "Prompt"},
                "element": prompt,
            }
        ],
        **fields,
    }


# Commands


async def test_a_command_reaches_the_app_and_its_acknowledgement_is_shown_to_its_author(
    stand_in: SlackStandIn,
) -> None:
    """The ack's text is an ephemeral message of the person alone; the payload has Slack's fields."""
    payloads: list[dict[str, Any]] = []

    def prepare(bot: Bot) -> None:
        @bot.app.command("/devflow")
        async def start(ack: Any, command: dict[str, Any]) -> None:
            payloads.append(command)
            await ack(f"Starting {command['text']}")

    async with connected_bot(stand_in, prepare):
        outcome = await stand_in.people.command(ADA, CHANNEL_ID, "/devflow", "start demo/hello a & b <c>")
    assert outcome == {"ok": True}
    assert payloads[0]["text"] == "start demo/hello a & b <c>"
    assert (payloads[0]["user_id"], payloads[0]["channel_id"], payloads[0]["channel_name"]) == (
        ADA,
        CHANNEL_ID,
        "sandbox",
    )
    (message,) = shown(stand_in)
    assert message["text"] == "Starting start demo/hello a &amp; b <c>"
    assert message["is_ephemeral"]
    assert shown(stand_in, GRACE) == []


async def test_a_command_nobody_acknowledges_times_out_and_without_a_socket_it_is_not_dispatched(
    tmp_path: Path,
) -> None:
    """The two failures that Slack shows to a person."""
    async with running_stand_in(tmp_path / "slack.db", interaction_seconds=0.05) as stand_in:
        alone = await stand_in.people.command(ADA, CHANNEL_ID, "/devflow", "x")
        assert not alone["ok"]
        assert "DevFlow is not connected just now (dispatch_failed)" in alone["error"]
        async with connected_bot(stand_in):
            late = await stand_in.people.command(ADA, CHANNEL_ID, "/devflow", "x")
            unknown = await stand_in.people.command(ADA, CHANNEL_ID, "/other", "x")
    assert not late["ok"]
    assert "DevFlow did not answer in time (operation_timeout)" in late["error"]
    assert "/other is not a valid command" in unknown["error"]


async def test_a_response_url_takes_five_answers_and_replaces_what_it_came_from(stand_in: SlackStandIn) -> None:
    """Ephemeral by default, in the channel when asked, and the sixth answer is refused."""
    responds: list[Any] = []
    statuses: list[int] = []

    def prepare(bot: Bot) -> None:
        @bot.app.command("/devflow")
        async def start(ack: Any, respond: Any) -> None:
            await ack()
            responds.append(respond)

    async with connected_bot(stand_in, prepare):
        await stand_in.people.command(ADA, CHANNEL_ID, "/devflow", "x")
        statuses.append((await responds[0](text="only you")).status_code)
        statuses.append((await responds[0](text="everyone", response_type="in_channel")).status_code)
        statuses.extend([(await responds[0](text=str(count))).status_code for count in range(4)])
    assert statuses == [200, 200, 200, 200, 200, 404]
    assert [message["text"] for message in shown(stand_in, GRACE)] == ["everyone"]
    assert [message["text"] for message in shown(stand_in)] == ["only you", "everyone", "0", "1", "2"]


# Events


async def test_a_message_reaches_the_app_escaped_and_a_mention_comes_twice(stand_in: SlackStandIn) -> None:
    """Text as Slack stores it; `message` and `app_mention` for one message, with different event ids."""
    async with connected_bot(stand_in) as bot:
        ts = await stand_in.people.post_message(
            ADA, CHANNEL_ID, "<@U0DEVFLOW> if a < b && b > c see https://example.com/x?a=1&b=2."
        )
        await until(lambda: bot.of_type("message") and bot.of_type("app_mention"))
        await until(lambda: stand_in.sockets.undelivered_count == 0)
    message, mention = bot.of_type("message")[0], bot.of_type("app_mention")[0]
    assert message["text"] == ("<@U0DEVFLOW> if a &lt; b &amp;&amp; b &gt; c see <https://example.com/x?a=1&amp;b=2>.")
    assert message["ts"] == mention["ts"] == ts
    assert message["_event_id"] != mention["_event_id"]
    assert message["client_msg_id"]
    assert (message["channel_type"], message["blocks"][0]["type"]) == ("channel", "rich_text")
    assert message["_body"]["authorizations"][0]["user_id"] == "U0DEVFLOW"


async def test_the_apps_own_messages_edits_and_deletions_come_back_as_events(stand_in: SlackStandIn) -> None:
    """With bot_id; an update is a hidden message_changed with what was there before."""
    async with connected_bot(stand_in) as bot:
        posted = await bot.app.client.chat_postMessage(channel=CHANNEL_ID, text="one")
        await bot.app.client.chat_update(channel=CHANNEL_ID, ts=posted["ts"], text="two")
        await bot.app.client.chat_delete(channel=CHANNEL_ID, ts=posted["ts"])
        await until(lambda: bot.of_type("message", "message_deleted"))
    (own,) = bot.of_type("message")
    (changed,) = bot.of_type("message", "message_changed")
    (deleted,) = bot.of_type("message", "message_deleted")
    assert (own["bot_id"], own["app_id"], own["user"]) == ("B0DEVFLOW", "A0DEVFLOW", "U0DEVFLOW")
    assert (changed["message"]["text"], changed["previous_message"]["text"], changed["hidden"]) == ("two", "one", True)
    assert changed["ts"] != changed["message"]["ts"]
    assert deleted["deleted_ts"] == posted["ts"]


async def test_persons_reactions_edits_threads_and_files_are_events(stand_in: SlackStandIn) -> None:
    """Reply, broadcast, file, edit, reaction, deletion of a root with replies."""
    people = stand_in.people
    async with connected_bot(stand_in) as bot:
        root = await people.post_message(ADA, CHANNEL_ID, "root")
        reply = await people.post_message(GRACE, CHANNEL_ID, "reply", thread_ts=root)
        file_id = await people.upload(GRACE, CHANNEL_ID, "notes.txt", b"some notes")
        await people.post_message(GRACE, CHANNEL_ID, "", thread_ts=reply, file_ids=[file_id])
        await people.post_message(GRACE, CHANNEL_ID, "all", thread_ts=root, broadcast=True)
        await people.edit(GRACE, CHANNEL_ID, reply, "reply!")
        await people.react(ADA, CHANNEL_ID, reply, "eyes")
        await people.react(ADA, CHANNEL_ID, reply, "eyes", remove=True)
        await people.delete(ADA, CHANNEL_ID, root)
        await until(lambda: len(bot.of_type("message", "message_changed")) == 2)
    assert [event.get("thread_ts") for event in bot.of_type("message")] == [None, root]
    (shared,) = bot.of_type("message", "file_share")
    assert (shared["thread_ts"], shared["files"][0]["name"]) == (root, "notes.txt")
    assert bot.of_type("message", "thread_broadcast")[0]["root"]["ts"] == root
    edited, tombstone = bot.of_type("message", "message_changed")
    assert edited["message"]["edited"]["user"] == GRACE
    assert tombstone["message"]["subtype"] == "tombstone"
    assert bot.of_type("reaction_added")[0]["item"]["ts"] == reply
    assert bot.of_type("reaction_removed")[0]["user"] == ADA
    assert people.thread(ADA, CHANNEL_ID, root)[0]["deleted"]


async def test_the_app_hears_only_of_channels_it_is_in_and_is_told_when_it_joins(stand_in: SlackStandIn) -> None:
    """Nothing from #random before conversations.join, everything after; and of an archived channel."""
    async with connected_bot(stand_in) as bot:
        await stand_in.people.post_message(ADA, "C0RANDOM", "unheard")
        await bot.app.client.conversations_join(channel="C0RANDOM")
        await stand_in.people.post_message(ADA, "C0RANDOM", "heard")
        stand_in.workspace.set_archived("C0RANDOM", True, ADA)
        await until(lambda: bot.of_type("channel_archive"))
    assert [event["text"] for event in bot.of_type("message")] == ["heard"]
    assert bot.of_type("member_joined_channel")[0]["user"] == "U0DEVFLOW"


async def test_direct_messages_are_events_of_their_own_kind(stand_in: SlackStandIn) -> None:
    """message.im, in a channel that nobody else can open."""
    channel_id = stand_in.workspace.add_dm(ADA)
    async with connected_bot(stand_in) as bot:
        await stand_in.people.post_message(ADA, channel_id, "just us")
        (event,) = await until(lambda: bot.of_type("message"))
        with pytest.raises(PersonRefusedError, match="no channel"):
            await stand_in.people.post_message(GRACE, channel_id, "let me in")
    assert (event["channel_type"], event["channel"]) == ("im", channel_id)


async def test_a_shared_channel_and_a_stranger_are_marked(stand_in: SlackStandIn) -> None:
    """is_ext_shared_channel in the envelope's payload, the other team in the event."""
    workspace = stand_in.workspace
    workspace.add_user("U0EVE", "eve", "Eve", is_stranger=True)
    workspace.add_channel("C0SHARED", "shared", members=["U0EVE", "U0DEVFLOW"], is_ext_shared=True)
    async with connected_bot(stand_in) as bot:
        await stand_in.people.post_message("U0EVE", "C0SHARED", "let me in")
        (event,) = await until(lambda: bot.of_type("message"))
    assert event["_body"]["is_ext_shared_channel"] is True
    assert event["user_team"] == "T0STRANGER" != event["_body"]["team_id"]


# Redelivery


async def test_an_unacknowledged_event_comes_again_three_times_and_is_then_given_up(tmp_path: Path) -> None:
    """The same event_id each time, with the retry headers that Bolt makes of the envelope."""
    options: dict[str, Any] = {"event_ack_seconds": 0.2, "retry_delays_seconds": (0.0, 0.01, 0.01)}
    async with running_stand_in(tmp_path / "slack.db", **options) as stand_in, connected_bot(stand_in) as bot:
        bot.is_refusing = True
        await stand_in.people.post_message(ADA, CHANNEL_ID, "hear me")
        await until(lambda: len(bot.events) == 4 and stand_in.sockets.undelivered_count == 0)
    assert len({event["_event_id"] for event in bot.events}) == 1
    assert [headers.get("x-slack-retry-num") for headers in bot.headers] == [["0"], ["1"], ["2"], ["3"]]
    assert bot.headers[1]["x-slack-retry-reason"] == ["timeout"]


async def test_events_of_a_time_without_sockets_come_on_connection_in_order_and_marked(
    stand_in: SlackStandIn,
) -> None:
    """Nothing said while the app was away is lost."""
    for text in ("one", "two", "three"):
        await stand_in.people.post_message(ADA, CHANNEL_ID, text)
    async with connected_bot(stand_in) as bot:
        await until(lambda: stand_in.sockets.undelivered_count == 0)
    assert [event["text"] for event in bot.of_type("message")] == ["one", "two", "three"]
    assert {headers["x-slack-retry-num"][0] for headers in bot.headers} == {"1"}


async def test_an_event_in_flight_on_a_socket_that_is_cut_comes_again(tmp_path: Path) -> None:
    """What a killed bot had received and not acknowledged goes to the next one."""
    async with running_stand_in(tmp_path / "slack.db", event_ack_seconds=60.0) as stand_in:
        async with connected_bot(stand_in) as killed:
            killed.is_refusing = True
            await stand_in.people.post_message(ADA, CHANNEL_ID, "survive")
            await until(lambda: killed.events)
        await until(lambda: stand_in.sockets.connection_count == 0)
        async with connected_bot(stand_in) as next_bot:
            await until(lambda: stand_in.sockets.undelivered_count == 0)
    assert next_bot.events[0]["_event_id"] == killed.events[0]["_event_id"]


async def test_a_restart_keeps_messages_reactions_files_and_undelivered_events(tmp_path: Path) -> None:
    """Everything is in the file; timestamps go on growing."""
    path = tmp_path / "slack.db"
    async with running_stand_in(path, clock=lambda: 1_700_000_000.0) as first:
        ts = await first.people.post_message(ADA, CHANNEL_ID, "before")
        await first.people.react(GRACE, CHANNEL_ID, ts, "tada")
        first.workspace.add_user("U0GUEST", "guest", is_restricted=True)
    async with running_stand_in(path, clock=lambda: 1_600_000_000.0) as second:
        later = await second.people.post_message(ADA, CHANNEL_ID, "after")
        assert later > ts
        assert [message["text"] for message in shown(second)] == ["before", "after"]
        assert shown(second)[0]["reactions"] == [{"name": "tada", "users": [GRACE]}]
        async with connected_bot(second) as bot:
            await until(lambda: second.sockets.undelivered_count == 0)
            guest = await bot.app.client.users_info(user="U0GUEST")
    assert guest["user"]["is_restricted"] is True
    async with running_stand_in(path) as third:
        assert third.sockets.undelivered_count == 0
    assert [event["type"] for event in bot.events] == ["message", "reaction_added", "message"]
    assert {headers["x-slack-retry-num"][0] for headers in bot.headers} == {"1"}


async def test_an_injected_event_arrives_as_given_and_may_come_again_under_its_id(stand_in: SlackStandIn) -> None:
    """What Slack may send one day, and what it sends twice."""
    async with connected_bot(stand_in) as bot:
        event_id = stand_in.inject_event({"type": "canvas_sneezed", "odd": [None, {"x": 1}]})
        await until(lambda: stand_in.sockets.undelivered_count == 0 and bot.events)
        stand_in.inject_event({"type": "canvas_sneezed"}, event_id=event_id)
        await until(lambda: stand_in.sockets.undelivered_count == 0 and len(bot.events) == 2)
    assert [event["_event_id"] for event in bot.events] == [event_id, event_id]
    assert bot.events[0]["odd"] == [None, {"x": 1}]


# Sockets


async def test_a_requested_refresh_and_an_abrupt_cut_lose_nothing(stand_in: SlackStandIn) -> None:
    """The app comes back by itself after a disconnect envelope; each event arrives."""
    async with connected_bot(stand_in, connections=2) as bot:
        await stand_in.disconnect_sockets("refresh_requested")
        for number in range(5):
            await stand_in.people.post_message(ADA, CHANNEL_ID, str(number))
        await until(lambda: {event["text"] for event in bot.of_type("message")} == set("01234"))
        await until(lambda: stand_in.sockets.undelivered_count == 0)


async def test_each_envelope_goes_to_one_connection_and_a_ticket_is_good_once(stand_in: SlackStandIn) -> None:
    """Two sockets, one delivery each; a used ticket opens nothing."""
    async with web_client(stand_in) as client, connected_bot(stand_in, connections=2) as bot:
        for number in range(6):
            await stand_in.people.post_message(ADA, CHANNEL_ID, str(number))
        await until(lambda: stand_in.sockets.undelivered_count == 0)
        assert sorted(event["text"] for event in bot.of_type("message")) == list("012345")
        opened = await client.apps_connections_open(app_token=APP_TOKEN)
        assert client.session is not None
        first = await client.session.ws_connect(opened["url"])
        assert (await first.receive_json())["num_connections"] == 3
        answer = await client.session.get(opened["url"].replace("ws://", "http://"))
        assert answer.status == 404
        for number in range(3):
            await stand_in.people.post_message(ADA, CHANNEL_ID, f"again {number}")
        assert (await first.receive_json())["type"] == "events_api"
        await first.close()
        await until(lambda: stand_in.sockets.undelivered_count == 0)
    assert len({event["text"] for event in bot.of_type("message")}) == 9


# Buttons, modals, shortcuts, Home


async def test_a_button_sends_an_action_and_its_response_url_replaces_the_message(stand_in: SlackStandIn) -> None:
    """The payload names message, container and value; what is not there cannot be pressed."""
    bodies: list[dict[str, Any]] = []

    def prepare(bot: Bot) -> None:
        @bot.app.action("stop")
        async def stop(ack: Any, body: dict[str, Any], respond: Any) -> None:
            await ack()
            bodies.append(body)
            await respond(text="stopped", replace_original=True)

    async with connected_bot(stand_in, prepare) as bot:
        blocks = [{"type": "actions", "block_id": "row", "elements": [button("stop", value="s1", style="danger")]}]
        posted = await bot.app.client.chat_postMessage(channel=CHANNEL_ID, text="card", blocks=blocks)
        place = {"channel_id": CHANNEL_ID, "message_ts": posted["ts"]}
        assert await stand_in.people.press(ADA, "stop", **place) == {"ok": True}
        await until(lambda: shown(stand_in)[0]["text"] == "stopped")
        with pytest.raises(PersonRefusedError, match="not there any more"):
            await stand_in.people.press(ADA, "stop", **place)
    (body,) = bodies
    assert body["actions"][0]["value"] == "s1"
    assert body["container"]["message_ts"] == body["message"]["ts"] == posted["ts"]
    assert body["user"]["id"] == ADA


async def test_a_modal_opens_refuses_updates_and_closes(stand_in: SlackStandIn) -> None:
    """views.open by trigger, errors by block, update, then close; required fields are Slack's own check."""
    answers: list[dict[str, Any]] = [
        {"response_action": "errors", "errors": {"prompt": "No such repository."}},
        {"response_action": "update", "view": modal(callback_id="second")},
        {},
    ]
    values: list[str] = []

    def prepare(bot: Bot) -> None:
        @bot.app.command("/devflow")
        async def form(ack: Any, command: dict[str, Any], client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=command["trigger_id"], view=modal(private_metadata="kept"))

        async def submitted(ack: Any, view: dict[str, Any]) -> None:
            values.append(view["state"]["values"]["prompt"]["text"]["value"])
            await ack(**answers[len(values) - 1])

        bot.app.view("start")(submitted)
        bot.app.view("second")(submitted)

    people = stand_in.people
    async with connected_bot(stand_in, prepare):
        await people.command(ADA, CHANNEL_ID, "/devflow")
        (view,) = await until(lambda: stand_in.views.stack(ADA))
        entered = {"prompt": {"text": {"type": "plain_text_input", "value": "fix it"}}}
        assert (await people.submit_view(ADA, view["id"]))["errors"].keys() == {"prompt"}
        refused = await people.submit_view(ADA, view["id"], entered)
        assert refused["errors"] == {"prompt": "No such repository."}
        assert (await people.submit_view(ADA, view["id"], entered))["response_action"] == "update"
        (updated,) = stand_in.views.stack(ADA)
        assert (updated["callback_id"], updated["id"]) == ("second", view["id"])
        assert await people.submit_view(ADA, view["id"], entered) == {"ok": True}
    assert stand_in.views.stack(ADA) == []
    assert values == ["fix it"] * 3


async def test_a_trigger_is_good_once_and_for_three_seconds(tmp_path: Path) -> None:
    """Used, expired and unknown triggers are told apart."""
    now = [1_700_000_000.0]
    triggers: list[str] = []

    def prepare(bot: Bot) -> None:
        @bot.app.command("/devflow")
        async def form(ack: Any, command: dict[str, Any]) -> None:
            await ack()
            triggers.append(command["trigger_id"])

    async with (
        running_stand_in(tmp_path / "slack.db", clock=lambda: now[0]) as stand_in,
        connected_bot(stand_in, prepare) as bot,
        web_client(stand_in) as client,
    ):
        for _ in range(2):
            await stand_in.people.command(ADA, CHANNEL_ID, "/devflow")
        await client.views_open(trigger_id=triggers[0], view=modal())
        now[0] += 3.1
        errors = []
        for trigger_id in (triggers[0], triggers[1], "1.2.x"):
            with pytest.raises(SlackApiError) as raised:
                await client.views_open(trigger_id=trigger_id, view=modal())
            errors.append(raised.value.response["error"])
        assert bot.events == []
    assert errors == ["exchanged_trigger_id", "expired_trigger_id", "invalid_trigger_id"]


async def test_an_external_select_asks_the_app_and_takes_only_what_is_offered(stand_in: SlackStandIn) -> None:
    """block_suggestion out, options back; a static choice that was not offered is refused."""
    chosen: list[Any] = []
    option = {"text": {"type": "plain_text", "text": "demo/hello"}, "value": "demo/hello"}

    def prepare(bot: Bot) -> None:
        @bot.app.options("repo")
        async def offer(ack: Any, payload: dict[str, Any]) -> None:
            await ack(options=[option] if payload["value"] == "he" else [])

        @bot.app.action("base")
        async def choose(ack: Any, action: dict[str, Any]) -> None:
            await ack()
            chosen.append(action["selected_option"]["value"])

    async with connected_bot(stand_in, prepare) as bot:
        elements = [
            {"type": "external_select", "action_id": "repo"},
            {"type": "static_select", "action_id": "base", "options": [option]},
        ]
        posted = await bot.app.client.chat_postMessage(
            channel=CHANNEL_ID, text="choose", blocks=[{"type": "actions", "elements": elements}]
        )
        place = {"channel_id": CHANNEL_ID, "message_ts": posted["ts"]}
        assert await stand_in.people.options(ADA, "repo", "he", **place) == [option]
        assert await stand_in.people.options(ADA, "repo", "xx", **place) == []
        await stand_in.people.press(ADA, "base", chosen={"selected_option": {"value": "demo/hello"}}, **place)
        with pytest.raises(PersonRefusedError, match="not offered"):
            await stand_in.people.press(ADA, "base", chosen={"selected_option": {"value": "evil/x"}}, **place)
    assert chosen == ["demo/hello"]


async def test_shortcuts_home_and_closing_a_modal_reach_the_app(stand_in: SlackStandIn) -> None:
    """message_action with its message, shortcut, app_home_opened with a published Home, view_closed."""
    seen: list[str] = []

    def prepare(bot: Bot) -> None:
        @bot.app.shortcut("stop_session")
        async def stop(ack: Any, shortcut: dict[str, Any]) -> None:
            await ack()
            seen.append(f"{shortcut['type']} {shortcut['message']['text']}")

        @bot.app.shortcut("new_session")
        async def new(ack: Any, shortcut: dict[str, Any], client: Any) -> None:
            await ack()
            seen.append(shortcut["type"])
            await client.views_open(trigger_id=shortcut["trigger_id"], view=modal(notify_on_close=True))

        @bot.app.view_closed("start")
        async def closed(ack: Any, view: dict[str, Any]) -> None:
            await ack()
            seen.append(f"closed {view['callback_id']}")

    people = stand_in.people
    async with connected_bot(stand_in, prepare) as bot:
        ts = await people.post_message(ADA, CHANNEL_ID, "this one")
        await people.open_shortcut(ADA, "stop_session", channel_id=CHANNEL_ID, message_ts=ts)
        await people.open_shortcut(ADA, "new_session")
        (view,) = await until(lambda: stand_in.views.stack(ADA))
        await people.close_view(ADA, view["id"])
        await bot.app.client.views_publish(user_id=ADA, view={"type": "home", "blocks": [{"type": "divider"}]})
        home = await people.open_home(ADA)
        opened = (await until(lambda: bot.of_type("app_home_opened")))[0]
    assert seen == ["message_action this one", "shortcut", "closed start"]
    assert home is not None
    assert (opened["tab"], opened["view"]["id"]) == ("home", home["id"])


async def test_a_hundred_messages_at_once_all_arrive_once(stand_in: SlackStandIn) -> None:
    """No event is lost or doubled under load, whatever the socket it takes."""
    async with connected_bot(stand_in, connections=2) as bot:
        await asyncio.gather(*(stand_in.people.post_message(ADA, CHANNEL_ID, f"m{number}") for number in range(100)))
        await until(lambda: stand_in.sockets.undelivered_count == 0)
    assert sorted(event["text"] for event in bot.of_type("message")) == sorted(f"m{n}" for n in range(100))
