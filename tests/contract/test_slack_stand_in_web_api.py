"""The Slack stand-in's Web API as Slack's own client sees it: answers, refusals, limits, files, faults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from slackbot.sandbox.slack import Fault, SlackStandIn
from tests.fakes.slack_workspace import APP_TOKEN, BOT_TOKEN, running_stand_in, web_client

CHANNEL_ID = "C0SANDBOX"
ADA = "U0ADA"


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[SlackStandIn]:
    async with running_stand_in(tmp_path / "slack.db") as running:
        yield running


@pytest.fixture
async def client(stand_in: SlackStandIn) -> AsyncIterator[AsyncWebClient]:
    async with web_client(stand_in) as made:
        yield made


async def refusal(call: Awaitable[Any]) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as raised:
        await call
    data: dict[str, Any] = raised.value.response.data
    return data


def section(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **fields}


def actions(*elements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements), **fields}


def button(text: str = "Go", **fields: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, **fields}


# The door


async def test_tokens_methods_and_arguments_are_checked(stand_in: SlackStandIn, client: AsyncWebClient) -> None:
    """Each refusal under Slack's own name; an unknown argument is named."""
    async with web_client(stand_in, "xoxb-wrong") as stranger:
        assert (await refusal(stranger.auth_test()))["error"] == "invalid_auth"
    assert (await refusal(client.api_call("chat.nonsense")))["error"] == "unknown_method"
    assert (await refusal(client.apps_connections_open(app_token=BOT_TOKEN)))["error"] == "not_allowed_token_type"
    typo = await refusal(client.chat_postMessage(channel=CHANNEL_ID, text="x", thread="1.2"))
    assert typo["error"] == "invalid_arguments"
    assert "unknown argument: thread " in typo["response_metadata"]["messages"][0]
    missing = await refusal(client.api_call("conversations.info"))
    assert "missing required field: channel" in missing["response_metadata"]["messages"][0]
    async with aiohttp.ClientSession() as session, session.post(stand_in.api_url + "auth.test") as answer:
        assert (await answer.json())["error"] == "not_authed"
    who = await client.auth_test()
    assert (who["user_id"], who["bot_id"], who["team_id"]) == ("U0DEVFLOW", "B0DEVFLOW", "T0SANDBOX")


async def test_scopes_of_a_manifest_are_enforced(tmp_path: Path) -> None:
    """A method outside the manifest's scopes is refused; chat:write.public opens public channels."""
    manifest = {
        "features": {"slash_commands": [{"command": "/df", "description": "x"}]},
        "oauth_config": {"scopes": {"bot": ["chat:write", "chat:write.public"]}},
        "settings": {"event_subscriptions": {"bot_events": ["message.im"]}},
    }
    options: dict[str, Any] = {"manifest": manifest, "commands": None, "shortcuts": None}
    async with running_stand_in(tmp_path / "slack.db", **options) as stand_in, web_client(stand_in) as client:
        error = await refusal(client.users_info(user=ADA))
        assert (error["error"], error["needed"]) == ("missing_scope", "users:read")
        assert (await client.chat_postMessage(channel="C0RANDOM", text="hello"))["ok"]
        assert stand_in.workspace.app.command("/df") is not None
        assert stand_in.sockets.undelivered_count == 0


# Where the app may write


async def test_posting_is_refused_where_the_app_may_not_write(stand_in: SlackStandIn, client: AsyncWebClient) -> None:
    """Not a member, private, archived, unknown, unknown thread, no text, too long."""
    workspace = stand_in.workspace
    workspace.add_channel("C0SECRET", "secret", members=[ADA], is_private=True)
    workspace.add_channel("C0OLD", "old", members=["U0DEVFLOW"], is_archived=True)

    async def error_of(**changed: Any) -> str:
        arguments = {"channel": CHANNEL_ID, "text": "x", **changed}
        return str((await refusal(client.api_call("chat.postMessage", json=arguments)))["error"])

    assert await error_of(channel="C0RANDOM") == "not_in_channel"
    assert await error_of(channel="C0SECRET") == "channel_not_found"
    assert await error_of(channel="C0OLD") == "is_archived"
    assert await error_of(channel="C0NOWHERE") == "channel_not_found"
    assert await error_of(thread_ts="1.000001") == "thread_not_found"
    assert await error_of(text="  ") == "no_text"
    assert await error_of(text="x" * 40_001) == "msg_too_long"
    assert (await refusal(client.conversations_join(channel="C0OLD")))["error"] == "is_archived"
    join_private = await refusal(client.conversations_join(channel="C0SECRET"))
    assert join_private["error"] == "channel_not_found"
    await client.conversations_join(channel="C0RANDOM")
    assert (await client.chat_postMessage(channel="C0RANDOM", text="x" * 40_000))["ok"]
    direct = await client.chat_postMessage(channel=ADA, text="psst")
    assert direct["channel"] == (await client.conversations_open(users=ADA))["channel"]["id"]


async def test_only_own_messages_change_and_updates_keep_or_drop_blocks_as_documented(
    stand_in: SlackStandIn, client: AsyncWebClient
) -> None:
    """Text alone drops the blocks; blocks alone keep the text; 4,000 characters are the limit of an update."""
    persons = await stand_in.people.post_message(ADA, CHANNEL_ID, "mine")
    for call, error in ((client.chat_update, "cant_update_message"), (client.chat_delete, "cant_delete_message")):
        arguments = {"channel": CHANNEL_ID, "ts": persons} | ({"text": "x"} if call == client.chat_update else {})
        assert (await refusal(call(**arguments)))["error"] == error
    gone = {"channel": CHANNEL_ID, "ts": "1.000001", "text": "x"}
    assert (await refusal(client.chat_update(**gone)))["error"] == "message_not_found"
    posted = await client.chat_postMessage(channel=CHANNEL_ID, text="card", blocks=[section("one")])
    place = {"channel": CHANNEL_ID, "ts": posted["ts"]}
    by_blocks = await client.api_call("chat.update", json={**place, "blocks": [section("two")]})
    assert by_blocks["message"]["text"] == "card"
    assert "edited" not in by_blocks["message"]
    by_text = await client.chat_update(**place, text="plain")
    assert "blocks" not in by_text["message"]
    assert by_text["message"]["edited"]["user"] == "U0DEVFLOW"
    assert (await refusal(client.chat_update(**place, text="x" * 4001)))["error"] == "msg_too_long"


# Threads and metadata


async def test_replies_give_the_thread_in_pages_with_metadata_only_when_asked(
    stand_in: SlackStandIn, client: AsyncWebClient
) -> None:
    """The root leads each page and counts its replies; oldest, latest and inclusive bound the replies."""
    metadata = {"event_type": "devflow_session", "event_payload": {"session_id": "s1"}}
    root = await client.chat_postMessage(channel=CHANNEL_ID, text="root", metadata=metadata)
    replies = [
        await stand_in.people.post_message(ADA, CHANNEL_ID, str(number), thread_ts=root["ts"]) for number in range(3)
    ]
    thread = {"channel": CHANNEL_ID, "ts": root["ts"]}
    plain = (await client.conversations_replies(**thread))["messages"]
    assert "metadata" not in plain[0]
    assert (plain[0]["reply_count"], plain[0]["latest_reply"], plain[0]["reply_users"]) == (3, replies[2], [ADA])
    assert [message["text"] for message in plain] == ["root", "0", "1", "2"]
    assert plain[1]["parent_user_id"] == "U0DEVFLOW"
    full = (await client.conversations_replies(**thread, include_all_metadata=True))["messages"]
    assert full[0]["metadata"] == metadata
    page = await client.conversations_replies(**thread, limit=2)
    assert page["has_more"] is True
    rest = await client.conversations_replies(**thread, limit=2, cursor=page["response_metadata"]["next_cursor"])
    assert [message["text"] for message in page["messages"]] == ["root", "0", "1"]
    assert [message["text"] for message in rest["messages"]] == ["root", "2"]
    for inclusive, texts in ((False, ["root", "1"]), (True, ["root", "0", "1", "2"])):
        bounded = await client.conversations_replies(
            **thread, oldest=replies[0], latest=replies[2], inclusive=inclusive
        )
        assert [message["text"] for message in bounded["messages"]] == texts
    history = await client.conversations_history(channel=CHANNEL_ID)
    assert [message["text"] for message in history["messages"]] == ["root"]
    unknown = await refusal(client.conversations_replies(channel=CHANNEL_ID, ts="1.000001"))
    assert unknown["error"] == "thread_not_found"


async def test_metadata_of_a_wrong_form_or_size_is_refused(client: AsyncWebClient) -> None:
    """Both of Slack's names."""
    post: Callable[..., Any] = client.chat_postMessage
    wrong = await refusal(post(channel=CHANNEL_ID, text="x", metadata={"event_type": "x"}))
    assert wrong["error"] == "invalid_metadata_format"
    large = {"event_type": "x", "event_payload": {"text": "x" * 16_001}}
    assert (await refusal(post(channel=CHANNEL_ID, text="x", metadata=large)))["error"] == "metadata_too_large"


# Blocks


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([section("x")] * 51, "no more than 50 items"),
        ([section("x" * 3001)], "less than 3001 characters"),
        ([section("")], "more than 0 characters"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "less than 151"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "unsupported text type"),
        ([actions(*[button()] * 26)], "no more than 25 items"),
        ([actions(button("x" * 76))], "less than 76"),
        ([actions(button(value="x" * 2001))], "less than 2001"),
        ([actions(button(action_id="x" * 256))], "less than 256"),
        ([actions(button(action_id="a"), button(action_id="a"))], "`action_id` already exists"),
        ([section("x", block_id="b"), section("y", block_id="b")], "`block_id` already exists"),
        ([actions(button(style="warning"))], "primary, danger"),
        ([actions(button(colour="red"))], "colour"),
        ([actions(button(confirm={"title": {"type": "plain_text", "text": "?"}}))], "missing required field: text"),
        ([{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}], "no more than 10 items"),
        ([{"type": "markdown", "text": "x" * 7000}] * 2, "markdown blocks must be less than 12001"),
        ([{"type": "surprise"}], "unsupported type: surprise"),
        ("nonsense", "must be valid JSON"),
    ],
)
async def test_blocks_beyond_a_limit_are_refused_with_the_place(
    client: AsyncWebClient, blocks: Any, problem: str
) -> None:
    """`invalid_blocks`, with a sentence and a JSON pointer in response_metadata."""
    error = await refusal(client.api_call("chat.postMessage", json={"channel": CHANNEL_ID, "blocks": blocks}))
    assert error["error"] == ("invalid_blocks" if isinstance(blocks, list) else "invalid_arguments")
    assert problem in " ".join(error["response_metadata"]["messages"])
    assert "json-pointer:/blocks" in error["response_metadata"]["messages"][0]


async def test_blocks_at_their_limits_are_taken_and_too_much_text_together_is_not(client: AsyncWebClient) -> None:
    """The last value that fits, fits; 13,000 characters are the most for all blocks together."""
    blocks = [
        section("x" * 3000, accessory=button("x" * 75, value="x" * 2000)),
        actions(*[button(action_id=str(number)) for number in range(25)]),
        {"type": "markdown", "text": "x" * 9000},
    ]
    posted = await client.chat_postMessage(channel=CHANNEL_ID, text="x", blocks=blocks)
    assert all(block["block_id"] for block in posted["message"]["blocks"])
    too_much = [section("x" * 3000)] * 5
    error = await refusal(client.chat_postMessage(channel=CHANNEL_ID, text="x", blocks=too_much))
    assert error["error"] == "msg_blocks_too_long"


# Who is here


async def test_people_groups_and_channels_are_listed(stand_in: SlackStandIn, client: AsyncWebClient) -> None:
    """Members, guests, groups; pages by cursor; what the app may see only."""
    workspace = stand_in.workspace
    workspace.add_user("U0GUEST", "guest", is_ultra_restricted=True)
    workspace.add_user_group("S0TEAM", "team", [ADA])
    workspace.add_channel("C0SECRET", "secret", members=[ADA], is_private=True)
    assert (await client.users_info(user="U0GUEST"))["user"]["is_ultra_restricted"] is True
    assert (await refusal(client.users_info(user="U0NOBODY")))["error"] == "user_not_found"
    assert (await client.usergroups_users_list(usergroup="S0TEAM"))["users"] == [ADA]
    first = await client.users_list(limit=2)
    second = await client.users_list(limit=2, cursor=first["response_metadata"]["next_cursor"])
    assert len({user["id"] for user in [*first["members"], *second["members"]]}) == 4
    everything = await client.conversations_list(types="public_channel,private_channel")
    assert {channel["id"]: channel["is_member"] for channel in everything["channels"]} == {
        CHANNEL_ID: True,
        "C0RANDOM": False,
    }
    mine = await client.users_conversations()
    assert [channel["id"] for channel in mine["channels"]] == [CHANNEL_ID]
    assert ADA in (await client.conversations_members(channel=CHANNEL_ID))["members"]
    assert (await client.team_info())["team"]["id"] == "T0SANDBOX"
    assert (await client.bots_info(bot="B0DEVFLOW"))["bot"]["app_id"] == "A0DEVFLOW"


async def test_reactions_are_added_once_and_removed_once(stand_in: SlackStandIn, client: AsyncWebClient) -> None:
    """already_reacted and no_reaction, message_not_found, and reading them back."""
    ts = await stand_in.people.post_message(ADA, CHANNEL_ID, "x")
    item = {"channel": CHANNEL_ID, "timestamp": ts}
    await client.reactions_add(name="eyes", **item)
    assert (await refusal(client.reactions_add(name="eyes", **item)))["error"] == "already_reacted"
    reactions = (await client.reactions_get(**item))["message"]["reactions"]
    assert reactions == [{"name": "eyes", "users": ["U0DEVFLOW"], "count": 1}]
    await client.reactions_remove(name="eyes", **item)
    assert (await refusal(client.reactions_remove(name="eyes", **item)))["error"] == "no_reaction"
    gone = client.reactions_add(name="eyes", channel=CHANNEL_ID, timestamp="1.000001")
    assert (await refusal(gone))["error"] == "message_not_found"


async def test_an_ephemeral_message_is_seen_by_one_person_and_is_in_no_history(
    stand_in: SlackStandIn, client: AsyncWebClient
) -> None:
    """And it cannot be updated by the app."""
    sent = await client.chat_postEphemeral(channel=CHANNEL_ID, user=ADA, text="for you")
    assert [message["text"] for message in stand_in.people.messages(ADA, CHANNEL_ID)[0]] == ["for you"]
    assert stand_in.people.messages("U0GRACE", CHANNEL_ID)[0] == []
    assert (await client.conversations_history(channel=CHANNEL_ID))["messages"] == []
    update = client.chat_update(channel=CHANNEL_ID, ts=sent["message_ts"], text="x")
    assert (await refusal(update))["error"] == "message_not_found"
    outside = client.chat_postEphemeral(channel=CHANNEL_ID, user="U0NOBODY", text="x")
    assert (await refusal(outside))["error"] == "user_not_in_channel"


async def test_a_views_limits_hash_and_home(client: AsyncWebClient) -> None:
    """A modal's title has 24 characters at most; a Home with an old hash is refused."""
    view: dict[str, Any] = {"type": "home", "blocks": [section("hello")]}
    published = await client.views_publish(user_id=ADA, view=view)
    again = await client.views_publish(user_id=ADA, view=view, hash=published["view"]["hash"])
    stale = client.views_publish(user_id=ADA, view={**view, "blocks": []}, hash="0.0")
    assert (await refusal(stale))["error"] == "hash_conflict"
    assert again["view"]["id"] == published["view"]["id"]
    title = {"type": "plain_text", "text": "x" * 25}
    long = await refusal(client.views_update(view_id=published["view"]["id"], view={"type": "modal", "title": title}))
    assert long["error"] == "invalid_arguments"
    assert "less than 25 characters" in long["response_metadata"]["messages"][0]


# Files


async def test_a_file_uploaded_into_a_thread_is_read_back_with_the_token_only(
    stand_in: SlackStandIn, client: AsyncWebClient
) -> None:
    """files_upload_v2 end to end; the address gives nothing away without the token; deletion leaves a tombstone."""
    root = await client.chat_postMessage(channel=CHANNEL_ID, text="root")
    content = "ünïcode\n" * 1000
    uploaded = await client.files_upload_v2(
        channel=CHANNEL_ID, thread_ts=root["ts"], content=content, filename="log.txt", initial_comment="the log"
    )
    _, message = (await client.conversations_replies(channel=CHANNEL_ID, ts=root["ts"]))["messages"]
    assert (message["subtype"], message["text"], message["thread_ts"]) == ("file_share", "the log", root["ts"])
    file = (await client.files_info(file=uploaded["file"]["id"]))["file"]
    assert message["files"][0]["id"] == file["id"]
    assert file["shares"]["public"][CHANNEL_ID][0]["thread_ts"] == root["ts"]
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
        async with session.get(file["url_private_download"], headers=headers) as answer:
            assert (await answer.read()).decode() == content
        async with session.get(file["url_private"], allow_redirects=False) as answer:
            assert answer.status == 302
        async with session.get(file["permalink"]) as answer:
            assert answer.headers["Content-Disposition"] == "attachment"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    await client.files_delete(file=file["id"])
    assert (await refusal(client.files_info(file=file["id"])))["error"] == "file_not_found"
    _, message = (await client.conversations_replies(channel=CHANNEL_ID, ts=root["ts"]))["messages"]
    assert message["files"] == [{"id": file["id"], "mode": "tombstone"}]


async def test_an_unfinished_upload_is_not_a_file(client: AsyncWebClient) -> None:
    """Wrong length is refused at the address; completion without bytes finds no file."""
    announced = await client.files_getUploadURLExternal(filename="a.bin", length=3)
    assert client.session is not None
    async with client.session.post(announced["upload_url"], data=b"four") as answer:
        assert answer.status == 400
    complete = client.files_completeUploadExternal(files=[{"id": announced["file_id"], "title": "a"}])
    assert (await refusal(complete))["error"] == "file_not_found"


# Faults and the log of calls


async def test_faults_are_injected_by_method(stand_in: SlackStandIn, client: AsyncWebClient) -> None:
    """Rate limit, server error, a call not done, and a call done whose outcome the caller cannot know."""
    faults = {
        "limited": Fault(status=429, retry_after=7),
        "broken": Fault(status=503),
        "refused": Fault(error="fatal_error"),
        "before": Fault(drop_before=True),
        "after": Fault(drop_after=True, delay_seconds=0.01),
    }
    stand_in.fault = lambda method, args: faults.get(args.get("text", "")) if method == "chat.postMessage" else None
    with pytest.raises(SlackApiError) as limited:
        await client.chat_postMessage(channel=CHANNEL_ID, text="limited")
    assert (limited.value.response.status_code, limited.value.response.headers["Retry-After"]) == (429, "7")
    with pytest.raises(SlackApiError) as broken:
        await client.chat_postMessage(channel=CHANNEL_ID, text="broken")
    assert broken.value.response.status_code == 503
    assert (await refusal(client.chat_postMessage(channel=CHANNEL_ID, text="refused")))["error"] == "fatal_error"
    for text in ("before", "after"):
        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel=CHANNEL_ID, text=text)
    stand_in.fault = None
    history = await client.conversations_history(channel=CHANNEL_ID)
    assert [message["text"] for message in history["messages"]] == ["after"]
    done = [call for call in stand_in.calls if call.method == "chat.postMessage" and call.answer["ok"]]
    assert [call.args["text"] for call in done] == ["after"]
    assert BOT_TOKEN not in str(stand_in.calls)
    assert APP_TOKEN not in str(stand_in.calls)


async def test_a_taken_port_is_named(stand_in: SlackStandIn, tmp_path: Path) -> None:
    """Whoever starts a second one learns which address is taken."""
    second = SlackStandIn(tmp_path / "second.db", bot_token="b", app_token="a", port=stand_in.port)
    with pytest.raises(OSError, match=f"127.0.0.1:{stand_in.port}"):
        await second.start()
    await second.stop()
