"""What people may type, and where: each ends with a sentence (what happened, what to do), and with nothing left."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from slackbot.core.clipping import MAX_PROMPT_BYTES
from slackbot.core.item import MAX_ITEM_BYTES, item_size_bytes
from slackbot.core.naming import branch_name_for
from slackbot.core.repository_name import RepositoryName
from slackbot.sandbox.slack.faults import Fault
from slackbot.views.card import root, root_metadata
from tests.wire.bot_world import BOT, BotWorld, Person, SessionThread, bot_world, until, words

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "".join(f"{number:07d} " for number in range(5_000))[:39_990] + " the end."


async def refused(person: Person, text: str, *sentences: str) -> None:
    """The command is answered with these sentences, in private; nothing was begun and nothing is left."""
    world = person.world
    sessions, requests = len(world.items()), len(world.tasks.requests)
    told = await person.types(text)
    for sentence in sentences:
        assert sentence in told
    assert person.public() == [], "no root message of a session that never was"
    assert (len(world.items()), len(world.tasks.requests)) == (sessions, requests)


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("start demo/nosuch echo hi", "no repository `demo/nosuch`", "Check the name, or install the App"),
        ("start demo/private-uninstalled echo hi", "no repository `demo/private-uninstalled`", "installations/new"),
        ("start demo/archived echo hi", "`demo/archived` is archived", "Unarchive it on GitHub"),
        ("start demo/empty echo hi", "`demo/empty` has no commits yet", "Push a first commit"),
        ("start demo/hello base=nosuch echo hi", "`demo/hello` has no branch `nosuch`", "Leave `base=` out"),
        ("start demo/hello base=--upload-pack=x echo", "is not a branch name", "Write `base=main`"),
        ("start ../../etc/passwd echo hi", "Which repository is this for?", "../../etc/passwd echo hi"),
        ("start https://evil.example/demo/hello echo hi", "evil.example", ""),
    ],
)
async def test_what_cannot_be_started_is_refused_before_anything_is_seen(
    world: BotWorld, text: str, what: str, remedy: str
) -> None:
    """What happened and what to do, for the person alone."""
    await refused(world.someone("ada"), text, what, remedy)


async def test_outside_its_channels_the_bot_asks_to_be_invited(world: BotWorld) -> None:
    """#random: no root message, and a sentence with the invitation to type."""
    ada = world.someone("ada")
    lonely = world.slack.workspace.add_channel(f"C0LONELY{ada.user_id}", "lonely", members=[ada.user_id])
    await refused(Person(world, ada.user_id, lonely), "start demo/hello echo hi", "not in this channel", "/invite @")
    outsider = Person(world, "U0ADA", "C0RANDOM")
    await refused(outsider, "start demo/hello echo hi", "not in this channel", "/invite @")
    secret = world.slack.workspace.add_channel(
        f"C0SECRET{ada.user_id}", "secret", members=[ada.user_id], is_private=True
    )
    await refused(Person(world, ada.user_id, secret), "start demo/hello echo hi", "not in this channel", "/invite @")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"is_restricted": True}, "guests may not use it"),
        ({"is_ultra_restricted": True}, "guests may not use it"),
        ({"is_stranger": True}, "people of other organisations"),
        ({"is_bot": True}, "from people only"),
    ],
)
async def test_guests_strangers_and_bots_get_nothing(world: BotWorld, facts: dict[str, bool], sentence: str) -> None:
    """Neither a session of their own nor a prompt, a word or a button in another's thread."""
    ada, guest = world.someone("ada"), world.someone("guest", **facts)
    await refused(guest, "start demo/hello echo hi", sentence)
    await refused(guest, "list", sentence)
    thread = await ada.starts("demo/hello", "echo hi")
    beside = guest.beside(ada)
    await beside.says(thread, "echo from me")
    await beside.is_told(thread, sentence)
    await beside.says(thread, "!stop")
    await beside.says(thread, "and once more")
    await beside.presses(thread, "Stop")
    await beside.is_told(thread, sentence, times=2)
    ts = await ada.says(thread, "mine")
    await until(lambda: thread.marks(ts) == {"eyes"}, "my own prompt")
    assert beside.told_in(thread).count(sentence) == 2, "once for all replies, once for the button"
    assert [turn["prompt"] for turn in thread.turns()] == ["echo hi", "mine"]
    assert thread.item()["status"] == "starting"
    await until(thread.requests, "its launch, which the next test shall not count")


async def test_a_channel_shared_with_others_is_refused(world: BotWorld) -> None:
    """Whoever asks there."""
    ada = world.someone("ada")
    shared = world.slack.workspace.add_channel(
        f"C0SHARED{ada.user_id}", "shared", members=[ada.user_id, BOT], is_ext_shared=True
    )
    await refused(
        Person(world, ada.user_id, shared), "start demo/hello echo hi", "shared with another organisation", "your own"
    )


async def test_a_prompt_of_40_000_characters_by_command_and_by_reply(world: BotWorld) -> None:
    """The agent gets every character, the store keeps 16 KB, and the whole text stands in the thread."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", LONG)
    (file,) = await until(lambda: [f for m in thread.messages() for f in m.get("files", ())], "the file")
    ts = await ada.says(thread, LONG + "!")
    worker = await thread.worker()
    assert (await worker.works())["prompt"] == LONG
    assert (await worker.works())["prompt"] == LONG + "!"
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "a check mark")
    for turn in thread.turns():
        assert len(turn["prompt"].encode()) <= MAX_PROMPT_BYTES
        assert turn["shortened"] is True
    assert world.slack.files.content(file["id"]).decode() == LONG


async def test_the_whole_prompt_waits_for_slack_rather_than_being_cut(world: BotWorld) -> None:
    """Slack cannot be read just now: the worker is told to ask again, and then gets every character."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await worker.works()
    await thread.turn(1, "answered")
    await ada.says(thread, f"<@{BOT}> {LONG[:-20]}")
    await until(lambda: len(thread.turns()) == 2, "the prompt")
    world.slack.fault = lambda method, _: Fault(status=503) if method == "conversations.replies" else None
    try:
        status, body = await worker.call("POST", "/worker/v1/turns/next")
    finally:
        world.slack.fault = None
    assert status == 503, body
    assert (await worker.next())["prompt"] == LONG[:-20]


async def test_five_long_japanese_prompts_at_once(world: BotWorld) -> None:
    """Each reaches the agent whole and in order; the item stays far below DynamoDB's 400 KB."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    prompts = [f"{number}番目: " + "試験を直してください。" * 3_600 for number in range(5)]
    assert all(39_000 < len(prompt) < 40_000 for prompt in prompts)
    await asyncio.gather(*(ada.says(thread, prompt) for prompt in prompts))
    await until(lambda: len(thread.turns()) == 6, "six turns")
    assert item_size_bytes(thread.item()) < MAX_ITEM_BYTES
    worker = await thread.worker()
    given = [(await worker.works("はい" * 20_000))["prompt"] for _ in range(2)]
    assert given[1] == "\n\n".join(prompts)
    await thread.turn(6, "answered")
    assert item_size_bytes(thread.item()) < MAX_ITEM_BYTES
    await until(lambda: len(thread.of_type("devflow_answer")) == 2, "two answers")


async def test_awkward_characters_reach_the_agent_as_they_were_meant(world: BotWorld) -> None:
    """Backticks, mentions, entities, emoji: as typed; a NUL is dropped; nobody is notified by the card."""
    ada = world.someone("ada")
    awkward = "say `ls` & ```x``` to <@U0GRACE> &lt;b&gt; <b> 🦆 naïve\x00 <!channel> *bold* \u202eltr"
    thread = await ada.starts("demo/hello", awkward)
    worker = await thread.worker()
    assert (await worker.works())["prompt"] == awkward.replace("\x00", "")
    assert "<!channel>" not in thread.messages()[0]["text"]
    await ada.says(thread, awkward)
    given = (await worker.works("`<!channel>` <@U0GRACE> &lt; \x00 ok"))["prompt"]
    assert "say `ls` & ```x``` to <@U0GRACE> &lt;b&gt; <b> 🦆 naïve" in given
    await thread.turn(2, "answered")
    assert "<!channel>" not in str(thread.of_type("devflow_answer"))


async def test_a_reply_in_a_thread_that_is_no_session_is_none_of_ours(world: BotWorld) -> None:
    """People's own threads, also those the bot posted in, get nothing."""
    ada = world.someone("ada")
    ts = await world.slack.people.post_message(ada.user_id, ada.channel_id, "lunch?")
    thread = SessionThread(world, ada.channel_id, ts)
    reply = await ada.says(thread, "!stop")
    await ada.says(thread, "start demo/hello echo hi")
    # The session that follows is stored after those two were seen.
    other = await ada.starts("demo/hello", "echo hi")
    mine = await ada.says(other, "mine")
    await until(lambda: other.marks(mine) == {"eyes"}, "a prompt of a session")
    assert thread.said() == []
    assert thread.marks(reply) == set()
    assert ada.told_in(thread) == ""
    assert thread.item() == {}


async def test_a_reply_after_a_person_stopped_the_session_is_kept_and_retry_runs_it(world: BotWorld) -> None:
    """A sentence with the button, a stop sign; Retry launches again, with that prompt."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await worker.works()
    await thread.turn(1, "answered")
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    await thread.is_settled()
    ts = await ada.says(thread, "one more thing")
    await thread.shows("Not run: this session was stopped. The prompt is kept; press *Retry*")
    await until(lambda: thread.marks(ts) == {"octagonal_sign"}, "the stop sign")
    assert len(thread.requests()) == 1
    await ada.presses(thread, "Retry")
    second = await thread.worker(2)
    assert (await second.works())["prompt"] == "one more thing"
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "the check mark alone")


async def test_of_two_kept_prompts_each_has_a_retry_of_its_own(world: BotWorld) -> None:
    """The younger is run by a word, then the older by the button of the message that says it is kept."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    await (await thread.worker()).works()
    await thread.turn(1, "answered")
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    await ada.says(thread, "the older")
    await ada.says(thread, "the younger")
    await thread.turn(3, "cancelled")
    await thread.is_settled()
    older = thread.turns()[1]["response_ts"]
    await ada.says(thread, "!retry")
    worker = await thread.worker(2)
    assert (await worker.works())["prompt"] == "the younger"
    await thread.turn(4, "answered")
    await ada.presses(thread, "Retry", under=older)
    assert (await worker.works())["prompt"] == "the older"


async def test_five_replies_at_once_keep_their_order_and_all_end(world: BotWorld) -> None:
    """One person's lines are one piece of work; each has its turn and its mark, one answer tells all."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    replies = await asyncio.gather(*(ada.says(thread, f"number {number}") for number in range(5)))
    worker = await thread.worker()
    await until(lambda: len(thread.turns()) == 6, "six turns")
    given = [(await worker.works())["prompt"] for _ in range(2)]
    assert given[1] == "\n\n".join(f"number {number}" for number in range(5))
    for ts in replies:
        await until(lambda ts=ts: thread.marks(ts) == {"white_check_mark"}, "a check mark")
    await until(lambda: all("response_ts" in turn for turn in thread.turns()), "the answer stored as told")
    assert len(thread.of_type("devflow_answer")) == 2
    assert len({turn["response_ts"] for turn in thread.turns()[1:]}) == 1


async def test_more_prompts_than_may_wait_are_refused_each_with_a_sentence(world: BotWorld) -> None:
    """The eleventh and the twelfth are not taken, and both times the person is told."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    for number in range(9):
        await ada.says(thread, f"number {number}")
    await until(lambda: len(thread.turns()) == 10, "ten turns")
    await ada.says(thread, "too many")
    await ada.is_told(thread, "10 prompts wait in this session already, so this one was not taken.")
    await ada.says(thread, "still too many")
    await ada.is_told(thread, "10 prompts wait in this session already, so this one was not taken.", times=2)
    assert len(thread.turns()) == 10


async def test_edits_and_deletions_follow_while_a_prompt_waits_and_not_later(world: BotWorld) -> None:
    """A waiting prompt says what its message says; a deleted one is withdrawn; in work neither matters."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    people = world.slack.people
    thread = await ada.starts("demo/hello", "echo hi")
    first, second, _, fourth = [await ada.says(thread, name) for name in ("one", "two", "three", "four")]
    await until(lambda: len(thread.turns()) == 5, "five turns")
    await people.edit(ada.user_id, ada.channel_id, first, "ONE & <only>")
    await people.delete(ada.user_id, ada.channel_id, second)
    await people.edit(ada.user_id, ada.channel_id, fourth, LONG)
    await until(lambda: thread.turns()[4].get("shortened"), "the last edit")
    worker = await thread.worker()
    await worker.works()
    work = await worker.next()
    assert work["prompt"] == "ONE & <only>\n\nthree\n\n" + LONG
    await people.edit(ada.user_id, ada.channel_id, first, "something else")
    await people.delete(ada.user_id, ada.channel_id, first)
    await grace.says(thread, f"<@{BOT}> from grace")
    await until(lambda: len(thread.turns()) == 6, "a prompt after those")
    assert (await worker.progress(work["turn_id"]))[1]["cancel"] is False
    await worker.answer(work["turn_id"], "Done.")
    states = [turn["state"] for turn in (await until(lambda: thread.turns(), "turns"))]
    assert states == ["answered", "answered", "cancelled", "answered", "answered", "queued"]
    assert (await worker.works())["prompt"] == "from grace"
    await thread.turn(6, "answered")
    assert len(thread.of_type("devflow_answer")) == 3, "a withdrawn prompt needs no answer"


async def test_an_edit_right_behind_its_message_is_not_lost(world: BotWorld) -> None:
    """Both are on their way at once, and the message is stored first."""
    ada = world.someone("ada")
    people = world.slack.people
    thread = await ada.starts("demo/hello", "echo hi")
    for number in range(4):
        hasty = await ada.says(thread, f"typed too fast {number}")
        await people.edit(ada.user_id, ada.channel_id, hasty, f"typed again {number}")
        gone = await ada.says(thread, f"for the other window {number}")
        await people.delete(ada.user_id, ada.channel_id, gone)
    await until(lambda: len(thread.turns()) == 9, "nine turns")
    await until(lambda: world.slack.sockets.undelivered_count == 0, "all events")
    kept = [turn["prompt"] for turn in thread.turns()[1:] if turn["state"] == "queued"]
    assert kept == [f"typed again {number}" for number in range(4)]


@pytest.mark.parametrize("kind", ["the name", "a branch above it"])
async def test_a_branch_name_that_is_taken(world: BotWorld, kind: str) -> None:
    """By another branch of that name, or by one called `devflow`, beside which it cannot be: another name is found."""
    ada = world.someone("ada")
    repository = await world.repository()
    thread = await _lost_root(world, ada, "echo hi", repository)
    first_choice = branch_name_for("echo hi", thread.session_id)
    taken = "devflow" if kind == "a branch above it" else first_choice
    await world.github.commit_files(repository, taken, {"x": "x\n"}, "In the way")
    before = await world.branches(repository)
    await ada.presses(thread, "Retry")
    worker = await thread.worker()
    branch_name = thread.item()["branch_name"]
    assert branch_name == first_choice.replace("/", "-") + "-2"
    branches = await world.branches(repository)
    assert branches == {**before, branch_name: branches["main"]}, "the branch in the way is as it was"
    assert (await worker.call("GET", "/worker/v1/session"))[1]["branch_name"] == branch_name


async def test_who_is_not_on_the_list_and_how_many_sessions_there_may_be(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """DEVFLOW_ALLOWED_USERS and the two limits, each with its sentence; a stopped session makes room."""
    async with bot_world(tmp_path_factory.mktemp("limits")) as world:
        ada, grace, joan = world.someone("ada"), world.someone("grace"), world.someone("joan")
        await world.start_bot(
            DEVFLOW_ALLOWED_USERS=f"{ada.user_id},{grace.user_id}",
            DEVFLOW_MAX_SESSIONS_PER_USER="1",
            DEVFLOW_MAX_SESSIONS="2",
            DEVFLOW_ALLOWED_REPOSITORIES="demo/*",
        )
        await refused(joan, "start demo/hello echo hi", "not on the list", "DEVFLOW_ALLOWED_USERS")
        await refused(ada, "start other/hello echo hi", "may not work on `other/hello`", "DEVFLOW_ALLOWED_REPOSITORIES")
        first = await ada.starts("demo/hello", "echo hi")
        assert "the 1 live session that one person may have, so nothing was started" in await ada.types(
            "start demo/hello echo hi"
        )
        await first.worker()
        await ada.says(first, "!stop")
        await first.is_("stopped")
        second = await ada.starts("demo/hello", "echo hi")
        await ada.presses(first, "Retry")
        await ada.is_told(first, "the 1 live session that one person may have, so nothing was started")
        assert first.item()["status"] == "stopped"
        await grace.starts("demo/hello", "echo hi")
        worker = await second.worker()
        await worker.works()
        await worker.leaves("idle")
        await second.is_("stopped")
        world.slack.workspace.join(ada.channel_id, joan.user_id)
        await ada.presses(first, "Retry")
        await first.is_("starting")
        await ada.says(second, "wake up")
        await ada.is_told(second, "so nothing was started")
        assert second.item()["status"] == "stopped"
        lost = await _lost_root(world, ada, "echo hi")
        await ada.says(lost, "hello?")
        await ada.is_told(lost, "so nothing was started")
        assert lost.item() == {}
        assert len(world.tasks.requests) == 4


async def test_what_is_begun_at_once_keeps_the_limits_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Five starts of one person in one moment: two may live, so two do, and three are refused in words."""
    async with bot_world(tmp_path_factory.mktemp("at-once")) as world:
        ada, grace = world.someone("ada"), world.someone("grace")
        await world.start_bot(DEVFLOW_MAX_SESSIONS_PER_USER="2", DEVFLOW_MAX_SESSIONS="3")
        await asyncio.gather(*(ada.types(f"start demo/hello echo {number}") for number in range(5)))
        told = "\n".join(words(message) for message in ada.private())
        assert told.count("the 2 live sessions that one person may have, so nothing was started") == 3
        assert len(world.items()) == len(ada.public()) == 2
        await asyncio.gather(*(grace.types(f"start demo/hello echo {number}") for number in range(2)))
        assert "3 sessions are live, which is as many as there may be at once" in words(grace.private()[0])
        assert len(world.items()) == 3


async def test_words_and_buttons_of_a_forgotten_session_begin_nothing(world: BotWorld) -> None:
    """Its item is gone: Stop and !stop say so; a prompt goes on with its branch."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    worker = await thread.worker()
    await worker.works()
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    branch_name = (await thread.is_settled())["branch_name"]
    await _forget(world, thread)
    await ada.says(thread, "!status")
    await ada.is_told(thread, "This session is no longer known")
    assert thread.item() == {}
    assert len(thread.requests()) == 1
    ts = await ada.says(thread, "go on, please")
    second = await thread.worker(2)
    assert (await second.works())["prompt"] == "go on, please"
    assert thread.item()["branch_name"] == branch_name
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "a check mark")


async def _forget(world: BotWorld, thread: SessionThread) -> None:
    """The item leaves the store, as DynamoDB's TTL would take it."""
    connection = sqlite3.connect(world.store_path)
    with connection:
        connection.execute("DELETE FROM devflow_sessions WHERE session_id = ?", (thread.session_id,))
    connection.close()


async def test_a_root_without_a_session_is_started_by_a_reply_and_by_its_button(world: BotWorld) -> None:
    """A crash came between the root and the store: the root says all that is needed, 40,000 characters too."""
    ada = world.someone("ada")
    guest = world.someone("guest", is_restricted=True).beside(ada)
    for prompt, way in ((LONG, "reply"), ("echo hi", "button")):
        thread = await _lost_root(world, ada, prompt)
        await guest.says(thread, "let me in")
        await guest.is_told(thread, "guests may not use it")
        await ada.says(thread, "!stop")
        await ada.is_told(thread, "This session is no longer known")
        assert thread.item() == {}
        if way == "reply":
            await ada.says(thread, "hello?")
        else:
            await ada.presses(thread, "Retry")
        worker = await thread.worker()
        assert thread.item()["user_id"] == ada.user_id
        assert (await worker.works())["prompt"] == prompt
        if way == "reply":
            assert (await worker.works())["prompt"] == "hello?"
        await thread.turn(1, "answered")


async def _lost_root(world: BotWorld, person: Person, prompt: str, repository: str = "demo/hello") -> SessionThread:
    """A root as the bot posts it, with nothing in the store."""
    name = RepositoryName(*repository.split("/"))
    view = root(prompt, name, "main", "shell", person.user_id)
    metadata = root_metadata(repository=name, base_branch="main", agent="shell", user_id=person.user_id)
    posted = world.slack.conversation.post_as_app(
        world.slack.workspace.channel(person.channel_id),
        text=view.text,
        blocks=view.blocks,
        metadata={"event_type": metadata.event_type, "event_payload": dict(metadata.event_payload)},
    )
    return SessionThread(world, person.channel_id, posted["ts"])


async def test_what_nobody_knows_is_survived(world: BotWorld) -> None:
    """Events of unknown kinds, with odd fields and none: acknowledged, and the bot goes on."""
    ada = world.someone("ada")
    thread = await ada.starts("demo/hello", "echo hi")
    odd = {
        "type": "message",
        "channel": ada.channel_id,
        "user": ada.user_id,
        "ts": "1.1",
        "thread_ts": thread.thread_ts,
    }
    for event in (
        {"type": "something_new", "channel": 5},
        {"type": "message"},
        {**odd, "text": None},
        {**odd, "text": "hi", "ts": {"a": 1}},
        {**odd, "text": "hi", "ts": "not a ts"},
        {**odd, "text": "hi", "subtype": "from_the_future"},
        {**odd, "subtype": "message_changed", "message": "no map"},
        {**odd, "subtype": "message_changed", "message": {"ts": "1.1", "user": ada.user_id, "text": "x"}},
        {**odd, "subtype": "message_deleted", "previous_message": None},
        {"type": "app_mention", "text": "hi", "user": ada.user_id, "channel": ada.channel_id, "ts": "1.2"},
    ):
        world.slack.inject_event(event)
    ts = await ada.says(thread, "still there?")
    await until(lambda: thread.marks(ts) == {"eyes"}, "a prompt after those")
    await until(lambda: world.slack.sockets.undelivered_count == 0, "all acknowledged")
    assert [turn["prompt"] for turn in thread.turns()] == ["echo hi", "still there?"]
    assert words(thread.messages()[0])


async def test_what_bolt_cannot_stand_is_logged_once_and_never_at_length(
    world: BotWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Bolt itself would write out each such envelope, and a traceback for each that it stumbles over."""
    sockets = world.slack.sockets
    for number in range(3):
        unheard = {
            "type": "block_actions",
            "actions": [{"action_id": "nobodys", "block_id": "b"}],
            "junk": "x" * 10_000,
        }
        stumbled = {"type": "workflow_step_edit", "callback_id": "nobodys", "number": number}
        for payload in (unheard, stumbled):
            assert (await sockets.request("interactive", payload, 10.0)).error is None
    bolts_own = [record for record in caplog.records if record.name == "devflow.bolt"]
    assert len(bolts_own) <= 1
    assert all(len(record.getMessage()) <= 1_000 for record in bolts_own)


async def test_what_only_looks_like_a_button_or_an_event_is_acknowledged(world: BotWorld) -> None:
    """A dialog that calls itself as a button of ours does, an event in an interaction: Bolt alone would leave them."""
    sockets = world.slack.sockets
    at = {"user": {"id": "U0ADA"}, "team": {"id": "T0SANDBOX"}, "channel": {"id": "C1"}, "trigger_id": "1.2.3"}
    for name in ("home_stop", "list_page", "session_stop", "permission_answer_1", "nobodys"):
        for kind in ("dialog_submission", "interactive_message", "workflow_step_edit"):
            payload = {"type": kind, "callback_id": name, "submission": {}, "actions": [{"name": name}], **at}
            assert (await sockets.request("interactive", payload, 10.0)).error is None, (name, kind)
    for event in (None, -1, "form_agent", [[]], {}):
        payload = {"type": "event_callback", "team_id": "T0SANDBOX", "event_id": "Ev1", "event": event}
        assert (await sockets.request("interactive", payload, 10.0)).error is None, event
