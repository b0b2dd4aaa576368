"""The main job over real wires: start, prompt, answer, pull request, stop, retry, by command, word and button."""

from __future__ import annotations

import pytest

from tests.wire.bot_world import BOT, BotWorld, SessionThread, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def pushed(world: BotWorld, thread: SessionThread, name: str = "new.txt") -> dict[str, object]:
    """What a worker says of a push, after a commit was really made on the session's branch."""
    item = thread.item()
    full_name = f"{item['repository_owner']}/{item['repository_name']}"
    sha = await world.github.commit_files(full_name, item["branch_name"], {name: "new\n"}, "Do it")
    return {"commit_sha": sha, "files_changed": 1, "additions": 1, "deletions": 0}


async def test_the_main_job_by_command_reply_and_buttons(world: BotWorld) -> None:
    """Start, prompt, answer, push, pull request, stop: each seen in thread, store, git and GitHub."""
    ada = world.someone("ada")
    repository = await world.repository()
    thread = await ada.starts(repository, "echo hi")
    item = thread.item()
    assert (item["status"], item["user_id"]) == ("starting", ada.user_id)
    assert (item["repository_owner"], item["initial_prompt"]) == ("demo", "echo hi")
    assert item["history"][0]["state"] == "queued"
    assert item["branch_name"].startswith("devflow/echo-hi-")

    worker = await thread.worker(ready=False)
    assert (await world.branches(repository))[item["branch_name"]] == (await world.branches(repository))["main"]
    await thread.shows("Task *RUNNING*")
    status, info = await worker.call("GET", "/worker/v1/session")
    assert (status, info["branch_name"], info["agent"]) == (200, item["branch_name"], "shell")
    await worker.ready()
    work = await worker.next()
    assert (work["prompt"], work["user_name"]) == ("echo hi", world.slack.workspace.user(ada.user_id)["name"])
    await thread.shows("*Working on a prompt*")
    assert (await worker.progress(work["turn_id"], text="half of it"))[0] == 200
    shown = (await until(lambda: thread.of_type("devflow_progress"), "a progress message"))[0]
    assert "half of it" in str(shown)
    await worker.answer(work["turn_id"], "All done.", **await pushed(world, thread))
    await thread.turn(1, "answered")
    assert len(thread.of_type("devflow_answer")) == 1
    await until(lambda: not thread.of_type("devflow_progress"), "the progress message gone")
    await thread.shows("*Ready for prompts*")

    ts = await ada.says(thread, "and now the tests")
    await until(lambda: thread.marks(ts) == {"eyes"}, "eyes")
    assert (await worker.works("Tests too."))["prompt"] == "and now the tests"
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "a check mark")
    await thread.turn(2, "answered")

    await ada.opens_pull_request(thread)
    await thread.shows("Pull request #1> is open")
    opened = await thread.is_("running")
    assert (opened["pr_number"], opened["pr_url"]) == (1, f"{world.github.url}/{repository}/pull/1")

    assert "confirm" not in await ada.presses(thread, "Stop")
    await thread.is_("stopped")
    await thread.shows("stopped this session")
    assert (await worker.call("POST", "/worker/v1/turns/next"))[0] == 409
    ended = await thread.is_settled()
    assert "ecs_task_arn" not in ended
    assert ended["branch_name"] in await world.branches(repository), "a branch with a pull request stays"
    assert [stop[1] for stop in world.tasks.stops if thread.session_id in stop[1]]


async def test_the_words_of_a_thread_do_what_the_buttons_do(world: BotWorld) -> None:
    """!status, !help, !cancel, !pr, !stop, !retry; a word that is none of them is a prompt."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "sleep 100")
    worker = await thread.worker()
    work = await worker.next()
    await ada.says(thread, "!status")
    await ada.is_told(thread, "Working on a prompt by")
    await ada.says(thread, "!help")
    await ada.is_told(thread, "turns a thread into a development session")
    await ada.says(thread, "!cancel")
    await until(lambda: "cancelled_at" in thread.turns()[0], "the wish to cancel")
    assert (await worker.progress(work["turn_id"]))[1]["cancel"] is True
    await worker.answer(work["turn_id"], "Ended early.", "cancelled", **await pushed(world, thread))
    await thread.turn(1, "cancelled")
    await thread.shows("*Cancelled* by <@" + ada.user_id)
    await ada.says(thread, "!pr")
    await thread.shows("Pull request #1> is open")
    ts = await ada.says(thread, "!important: mind the gap")
    assert (await worker.next())["prompt"] == "!important: mind the gap"
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    await until(lambda: thread.marks(ts) == {"octagonal_sign"}, "the stop sign")
    await thread.is_settled()
    await ada.says(thread, "!retry")
    second = await thread.worker(2)
    assert (await second.works("Gap minded."))["prompt"] == "!important: mind the gap"
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "the check mark alone")


async def test_list_status_help_and_which_session_is_meant(world: BotWorld) -> None:
    """A command without a thread takes the one live session, asks which of several, and says when there is none."""
    ada = world.someone("ada")
    assert "turns a thread into a development session" in await ada.types("help")
    assert "You have no sessions" in await ada.types("list")
    assert "You have no session to use `stop` on" in await ada.types("stop")
    repository = await world.repository()
    first = await ada.starts(repository, "echo one")
    await first.worker()
    assert f"`{first.session_id[:8]}`" in await ada.types("status")
    second = await ada.starts(repository, "echo two")
    listed = await ada.types("list")
    assert first.session_id[:8] in listed
    assert second.session_id[:8] in listed
    asked = await ada.types("stop")
    assert "You have 2 live sessions" in asked
    assert "Name one: `/devflow stop " in asked
    assert "Stopping" in await ada.types(f"stop {second.session_id[:8]}")
    await second.is_("stopped")
    asked = await ada.types(f"status {repository}")
    assert "You have 2 sessions" in asked, "one of them is over"
    assert "Cancelling" in await ada.types(f"cancel {repository}"), "the first alone is live"
    assert first.item()["status"] == "running"
    assert "names" in await ada.types("stop nosuch1")
    assert "neither a command nor a repository" in await ada.types("stpo")
    assert "Did you mean `/devflow stop`?" in await ada.types("stpo")
    assert "already" in await ada.types(f"stop {second.session_id[:8]}")


async def test_two_people_in_one_thread(world: BotWorld) -> None:
    """Somebody else may reply, cancel and open the pull request, but not stop: a sentence says who may."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works(**await pushed(world, thread))
    ts = await grace.says(thread, f"<@{'U0DEVFLOW'}> echo from grace")
    await thread.shows("Several people speak here now")
    assert (await worker.next())["user_id"] == grace.user_id
    await grace.presses(thread, "Stop")
    await grace.is_told(thread, "Only the person who started this session, or an administrator, may stop it.")
    await grace.says(thread, "!stop")
    await grace.is_told(thread, "Only the person who started this session, or an administrator, may stop it.", times=2)
    assert thread.item()["status"] == "running"
    await grace.says(thread, "!cancel")
    await until(lambda: thread.turns()[1].get("cancelled_by") == grace.user_id, "the cancel")
    await worker.answer(f"{thread.channel_id}:{ts}", "Ended.", "cancelled")
    await grace.opens_pull_request(thread)
    await thread.shows(f"asked for by <@{grace.user_id}>")
    assert ada.told_in(thread) == ""
    await ada.presses(thread, "Stop")
    await thread.is_("stopped")


async def test_stop_asks_first_while_a_prompt_is_in_work_and_ends_it(world: BotWorld) -> None:
    """The button carries a question then; the turn ends with the session, and those that wait are kept."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "sleep 1000")
    worker = await thread.worker()
    work = await worker.next()
    waiting = await ada.says(thread, "and then this")
    await thread.shows("*Working on a prompt* by <@" + ada.user_id + ">, 1 waiting")
    question = (await ada.presses(thread, "Stop"))["confirm"]
    assert "A prompt is being worked on" in question["text"]["text"]
    await thread.is_("stopped")
    await thread.shows("The prompt in work ended with it; part of it may be done. 1 waiting prompt was not run.")
    assert [turn["state"] for turn in thread.turns()] == ["cancelled", "cancelled"]
    await until(lambda: thread.marks(waiting) == {"octagonal_sign"}, "the stop sign")
    assert (await worker.progress(work["turn_id"]))[0] == 409
    # The worker packs up: what it says of the turn changes nothing, and it still may push.
    await worker.answer(work["turn_id"], "Saved half.", "cancelled")
    assert (await worker.call("POST", "/worker/v1/github-token"))[0] == 200
    await worker.leaves("signal")
    assert len(thread.of_type("devflow_answer")) == 0
    assert thread.turns()[0]["state"] == "cancelled"


async def test_cancel_of_a_working_and_a_waiting_prompt_and_of_nothing(world: BotWorld) -> None:
    """The one in work first; where none is, the next; where none waits, a sentence - each time it is asked."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "sleep 1000")
    await ada.says(thread, "!cancel")
    await thread.turn(1, "cancelled")
    await thread.shows("Cancelled before the agent began.")
    await ada.says(thread, "!cancel")
    await ada.is_told(thread, "there is nothing to cancel")
    await ada.says(thread, "!cancel")
    await ada.is_told(thread, "there is nothing to cancel", times=2)
    worker = await thread.worker()
    ts = await ada.says(thread, "echo two")
    work = await worker.next()
    assert "Cancelling" in await ada.types("cancel")
    assert (await worker.progress(work["turn_id"]))[1]["cancel"] is True
    await worker.answer(work["turn_id"], "Ended.", "cancelled")
    await until(lambda: thread.marks(ts) == {"octagonal_sign"}, "the stop sign")
    assert "nothing to cancel" in await ada.types("cancel")


async def test_retry_after_a_failed_prompt_and_when_there_is_nothing_to_retry(world: BotWorld) -> None:
    """The same prompt once more, with its mark; an answered one is not run again."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    await ada.says(thread, "!retry")
    await ada.is_told(thread, "there is nothing to run again")
    ts = await ada.says(thread, "false")
    await worker.works("exit status 1", outcome="failed")
    await until(lambda: thread.marks(ts) == {"x"}, "an x")
    await thread.turn(2, "failed")
    await ada.presses(thread, "Retry")
    await ada.presses(thread, "Retry")
    assert (await worker.works("It works now."))["prompt"] == "false"
    await thread.turn(3, "answered")
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "the check mark alone")
    assert len(thread.turns()) == 3, "pressed twice is one turn"


async def test_a_pull_request_is_found_not_doubled_and_nothing_to_open_is_a_sentence(world: BotWorld) -> None:
    """Asked twice there is one pull request; without commits none, and the thread says why."""
    ada = world.someone("ada")
    repository = await world.repository()
    thread = await ada.starts(repository, "echo hi")
    worker = await thread.worker()
    assert "Opening the pull request" in await ada.types("pr")
    await thread.shows("There is nothing to open yet")
    assert "pr_number" not in thread.item()
    await worker.works(**await pushed(world, thread))
    await ada.says(thread, "!pr")
    await thread.shows("Pull request #1> is open")
    (card,) = thread.of_type("devflow_pull_request")
    await ada.says(thread, "!pr")

    def moved() -> bool:
        cards = thread.of_type("devflow_pull_request")
        return len(cards) == 1 and cards[0]["ts"] > card["ts"]

    await until(moved, "the card at the end of the thread, and there alone")
    row = world.github.world.store.repository(repository)
    assert row is not None
    assert len(world.github.world.store.pulls(row.id, state="open")) == 1


async def test_an_empty_branch_goes_with_its_session(world: BotWorld) -> None:
    """Nothing was pushed: after the stop the branch is deleted, and Retry makes it again."""
    ada = world.someone("ada")
    repository = await world.repository()
    thread = await ada.starts(repository, "false")
    worker = await thread.worker()
    await worker.works("no", outcome="failed")
    branch_name = thread.item()["branch_name"]
    assert branch_name in await world.branches(repository)
    await ada.says(thread, "!stop")
    await thread.is_("stopped")
    await thread.is_settled()
    assert branch_name not in await world.branches(repository)
    await ada.presses(thread, "Retry")
    second = await thread.worker(2)
    assert (await second.next())["prompt"] == "false"
    assert branch_name in await world.branches(repository)


async def test_a_reply_wakes_a_session_that_stopped_itself(world: BotWorld) -> None:
    """Idle: a new launch on the same branch, a new token; the old worker is fenced."""
    ada = world.someone("ada")
    repository = await world.repository()
    thread = await ada.starts(repository, "echo hi")
    worker = await thread.worker()
    await worker.works(**await pushed(world, thread))
    await worker.leaves("idle")
    await thread.is_("stopped")
    await thread.shows("stopped itself")
    await thread.is_settled()
    ts = await ada.says(thread, "good morning")
    second = await thread.worker(2)
    assert (await second.works("Good morning."))["prompt"] == "good morning"
    await until(lambda: thread.marks(ts) == {"white_check_mark"}, "a check mark")
    assert second.token != worker.token
    assert (await worker.call("POST", "/worker/v1/turns/next"))[0] == 409
    assert len(await world.branches(repository)) == 2


async def test_the_card_follows_the_task_through_its_states(world: BotWorld) -> None:
    """Each state as the system calls it; and at its end the reason."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "echo hi")
    arn = await until(lambda: thread.item().get("ecs_task_arn"), "a task")
    for status in ("PROVISIONING", "PENDING", "RUNNING"):
        world.tasks.advance(arn, status)
        await thread.shows(f"Task *{status}*")
    world.tasks.exit(arn, 137, stopped_reason="OutOfMemoryError: Container killed due to memory usage")
    await thread.is_("error")
    await thread.shows("🔴 *Ended with an error*")
    await thread.shows("memory")
    await thread.shows("1 waiting prompt was not run.")
    await ada.presses(thread, "Retry")
    assert (await (await thread.worker(2)).next())["prompt"] == "echo hi"


async def test_aside_and_words_to_others_reach_the_agent_as_context(world: BotWorld) -> None:
    """They are no prompts, and go along with the next one."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    await ada.says(thread, "!aside the port is 8080")
    await grace.says(thread, f"<@{ada.user_id}> shall I look?")
    await until(lambda: len(thread.item().get("asides", ())) == 2, "two asides")
    await ada.says(thread, f"<@{'U0DEVFLOW'}> use it")
    work = await worker.next()
    assert work["prompt"] == "use it"
    assert work["context"][0].endswith(": the port is 8080")
    assert "shall I look?" in work["context"][1]


async def test_talk_is_corrected_withdrawn_and_becomes_a_prompt_by_an_edit(world: BotWorld) -> None:
    """As it reads when the next prompt comes, with what is attached; naming DevFlow by an edit makes it that prompt."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    people, channel_id = world.slack.people, ada.channel_id
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    log = world.slack.files.upload_as_person(grace.user_id, "server.log", b"no such port")
    film = world.slack.files.upload_as_person(grace.user_id, "film.mp4", b"film")
    await people.post_message(
        grace.user_id, channel_id, "see the log", thread_ts=thread.thread_ts, file_ids=[log, film]
    )
    port = await grace.says(thread, "the port is 8080")
    secret = await ada.says(thread, "the password is x")
    late = await ada.says(thread, "try again")
    await until(lambda: len(thread.item().get("asides", ())) == 4, "four asides")
    await people.edit(grace.user_id, channel_id, port, "the port is 9090")
    await people.delete(ada.user_id, channel_id, secret)
    await until(lambda: len(thread.item().get("asides", ())) == 3, "three asides")
    await people.edit(ada.user_id, channel_id, late, f"<@{BOT}> try again")
    work = await worker.next()
    assert work["prompt"] == "try again"
    said = [line.split(": ", 1)[1] for line in work["context"]]
    assert said == ["see the log (attached: server.log)", "the port is 9090"]
    assert [file["name"] for file in work["files"]] == ["server.log"]
    await until(lambda: thread.marks(late) == {"eyes"}, "eyes on the message")
    await worker.answer(work["turn_id"])
    # Both events of an edited mention, and of one more edit, are that one prompt.
    await people.edit(ada.user_id, channel_id, late, f"<@{BOT}> try again!")
    await ada.says(thread, f"<@{BOT}> and more")
    assert (await worker.works())["prompt"] == "and more"
    assert [turn["prompt"] for turn in thread.turns()] == ["echo hi", "try again", "and more"]


async def test_talk_between_people_becomes_a_prompt_by_its_authors_word(world: BotWorld) -> None:
    """Said once to all, and to its author with a button; `!listen all` makes every reply a prompt again."""
    ada = world.someone("ada")
    grace = world.someone("grace").beside(ada)
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    await grace.says(thread, "is the port right?")
    await grace.is_told(thread, "That was taken as talk between people")
    await thread.shows("only replies that mention DevFlow are prompts")
    assert len(thread.turns()) == 1
    await grace.presses_what_is_told(thread, "Ask DevFlow")
    assert (await worker.works())["prompt"] == "is the port right?"
    await ada.says(thread, "!listen all")
    await thread.shows("Every reply in this thread is a prompt now")
    await grace.says(thread, "then change it")
    assert (await worker.works())["prompt"] == "then change it"


async def test_cancel_and_now_on_the_progress_message(world: BotWorld) -> None:
    """What waits is marked and stands there; Now interrupts for it, Cancel ends what is in work."""
    ada = world.someone("ada")
    thread = await ada.starts(await world.repository(), "sleep 1000")
    worker = await thread.worker()
    work = await worker.next()
    await worker.progress(work["turn_id"])
    await thread.shows("*Working*")
    waiting = await ada.says(thread, "first this")
    await until(lambda: thread.marks(waiting) == {"hourglass_flowing_sand"}, "the hourglass")
    await thread.shows(f"⏳ <@{ada.user_id}>: first this")
    await ada.presses(thread, "Now")
    assert (await worker.progress(work["turn_id"]))[1]["cancel"] is True
    await worker.answer(work["turn_id"], "", "cancelled")
    work = await worker.next()
    assert work["prompt"] == "first this"
    await until(lambda: thread.marks(waiting) == {"eyes"}, "the eyes")
    await worker.progress(work["turn_id"])
    # The message of the prompt before may still stand there; its button meets no other prompt.
    await until(lambda: (thread.button("Cancel") or [{}] * 3)[2].get("value") == work["turn_id"], "its own Cancel")
    await ada.presses(thread, "Cancel")
    await until(lambda: thread.turns()[1].get("cancelled_by") == ada.user_id, "the cancel")


async def test_the_owner_hands_over(world: BotWorld) -> None:
    """Nobody else may; the new owner may stop it, and the thread is told in their language from then on."""
    ada = world.someone("ada")
    yuki = world.someone("yuki", locale="ja-JP").beside(ada)
    thread = await ada.starts(await world.repository(), "echo hi")
    worker = await thread.worker()
    await worker.works()
    await yuki.says(thread, f"!handover <@{yuki.user_id}>")
    await yuki.is_told(thread, "セッションの引き継ぎができるのは")
    await ada.says(thread, f"!hand over <@{yuki.user_id}>")
    await thread.shows(f"<@{ada.user_id}> さんがこのセッションを <@{yuki.user_id}> さんに引き継ぎました。")
    assert thread.item()["user_id"] == yuki.user_id
    await yuki.presses(thread, "停止")
    await thread.is_("stopped")
