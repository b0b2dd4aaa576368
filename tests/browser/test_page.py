"""The main job by hand: a person at the sandbox's page, from the first button to the stop."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.e2e.sandbox_process import ADA, GRACE, SandboxProcess, turn

pytestmark = pytest.mark.browser

expect.set_options(timeout=60_000)


def thread_of(page: Page) -> Locator:
    return page.get_by_test_id("thread-pane")


def say(page: Page, text: str) -> Locator:
    """Replies in the open thread; the message as it then stands there."""
    composer = thread_of(page).get_by_test_id("thread-composer")
    composer.locator("textarea").fill(text)
    composer.get_by_test_id("send").click()
    mine = thread_of(page).get_by_test_id("message").filter(has_text=text).first
    expect(mine).to_be_visible()
    return mine


def button(page: Page, action_id: str) -> Locator:
    """The newest of its kind in the open thread; the card in the channel has the same ones."""
    return thread_of(page).locator(f'[data-action-id="{action_id}"]').last


def card(page: Page) -> Locator:
    return thread_of(page).get_by_test_id("message").first


def start(page: Page, text: str) -> None:
    """Types the command into the channel and waits for the thread to open by itself."""
    composer = page.get_by_test_id("channel-composer")
    composer.locator("textarea").fill(f"/devflow {text}")
    composer.get_by_test_id("send").click()
    expect(card(page)).to_contain_text("demo/hello")


def newest_thread(sandbox: SandboxProcess) -> str:
    return str(sandbox.items()[0]["slack"]["thread_ts"])


def test_the_main_job_by_hand(open_page: OpenPage, sandbox: SandboxProcess) -> None:
    """A try button, send, reply, reactions, Open PR, its page with the diff, and Stop with its question."""
    page = open_page()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "on")
    page.get_by_role("button", name="Fix the failing one").click()
    expect(page.get_by_test_id("channel-composer").locator("textarea")).to_have_value(
        re.compile("^/devflow start demo/hello ")
    )
    page.get_by_test_id("channel-composer").get_by_test_id("send").click()
    expect(card(page)).to_contain_text("Ready for prompts")
    expect(card(page)).to_contain_text("RUNNING")
    thread = thread_of(page)
    expect(thread).to_contain_text("1 file changed, +1 −1")

    mine = say(page, "echo '# checked' >> hello.py")
    expect(mine.locator('[data-testid="reaction"][data-name="white_check_mark"]')).to_be_visible()
    expect(mine.get_by_test_id("reaction")).to_have_count(1)

    button(page, "session_open_pr").click()
    page.get_by_test_id("modal-submit").click()
    link = button(page, "link_pull_request")
    expect(link).to_be_visible()
    with page.context.expect_page() as opened:
        link.click()
    pull_request = opened.value
    expect(pull_request).to_have_title(re.compile("#1"))
    expect(pull_request.locator("body")).to_contain_text("Hello, {name}!")
    expect(pull_request.locator("body")).to_contain_text("# checked")
    pull_request.close()

    say(page, "sleep 600")
    expect(card(page)).to_contain_text("Working on a prompt")
    card(page).locator('[data-action-id="session_stop"]').click()
    page.get_by_test_id("confirm-cancel").click()
    item = sandbox.items()[0]
    assert item["status"] == "running"
    assert turn(item, "sleep 600")["state"] == "working"
    card(page).locator('[data-action-id="session_stop"]').click()
    page.get_by_test_id("confirm-ok").click()
    expect(card(page)).to_contain_text("Stopped")
    expect(card(page)).to_contain_text("STOPPED")
    expect(thread).to_contain_text("stopped this session")
    assert sandbox.items()[0]["status"] == "stopped"
    assert turn(sandbox.items()[0], "sleep 600")["state"] == "cancelled"

    said = thread.get_by_test_id("message").all_inner_texts()
    page.reload()
    expect(thread.get_by_test_id("message")).to_have_count(len(said))
    expect(thread).to_contain_text("stopped this session")


def test_two_people_in_one_thread(open_page: OpenPage, sandbox: SandboxProcess) -> None:
    """The second person sees it live and may prompt; their Stop is refused for their eyes only."""
    ada = open_page()
    start(ada, "start demo/hello echo hers")
    expect(card(ada)).to_contain_text("Ready for prompts")
    grace = open_page(ada.url)
    grace.get_by_test_id("person-switch").select_option(GRACE)
    expect(card(grace)).to_contain_text("Ready for prompts")
    say(ada, "!listen all")
    expect(thread_of(grace)).to_contain_text("!listen all")
    say(grace, "echo and mine")
    expect(thread_of(ada)).to_contain_text("echo and mine")
    expect(thread_of(ada).get_by_test_id("message").filter(has_text="Asked by @Grace Hopper")).to_be_visible()

    card(grace).locator('[data-action-id="session_stop"]').click()
    expect(thread_of(grace)).to_contain_text("Only visible to you")
    expect(thread_of(grace)).to_contain_text("may stop it")
    expect(thread_of(ada)).not_to_contain_text("may stop it")
    assert sandbox.items()[0]["status"] == "running"
    sandbox.reply(newest_thread(sandbox), "!stop", ADA)
    expect(card(ada)).to_contain_text("Stopped")


def test_a_command_that_cannot_work_says_so_in_the_channel(open_page: OpenPage) -> None:
    """Only the person sees it, and no thread opens."""
    page = open_page()
    composer = page.get_by_test_id("channel-composer")
    composer.locator("textarea").fill("/devflow start demo/nowhere ls")
    composer.get_by_test_id("send").click()
    refusal = page.get_by_test_id("message").filter(has_text="demo/nowhere")
    expect(refusal).to_contain_text("Only visible to you")
    expect(thread_of(page)).to_be_hidden()


def test_a_command_while_the_bot_is_away_says_what_to_do(open_page: OpenPage, sandbox: SandboxProcess) -> None:
    """What was typed is given back with a sentence; the next letter takes the sentence away."""
    page = open_page()
    composer = page.get_by_test_id("channel-composer")
    bot_pid = sandbox.bot_pid
    assert bot_pid is not None
    os.kill(bot_pid, signal.SIGSTOP)
    try:
        composer.locator("textarea").fill("/devflow list")
        composer.get_by_test_id("send").click()
        expect(composer.get_by_role("alert")).to_contain_text("DevFlow did not answer in time")
        expect(composer.locator("textarea")).to_have_value("/devflow list")
    finally:
        os.kill(bot_pid, signal.SIGCONT)
    composer.locator("textarea").press("End")
    composer.locator("textarea").press_sequentially(" ")
    expect(composer.get_by_role("alert")).to_be_hidden()


def test_the_composer_offers_the_commands(open_page: OpenPage) -> None:
    """Typing `/devflow s` offers the subcommands that begin so, from the command's usage hint."""
    page = open_page()
    field = page.get_by_test_id("channel-composer").locator("textarea")
    field.click()
    field.press_sequentially("/devflow st")
    offers = page.get_by_role("listbox").get_by_role("option")
    expect(offers).to_have_count(3)
    expect(offers.nth(0)).to_contain_text("start")
    expect(offers.nth(1)).to_contain_text("status")
    expect(offers.nth(2)).to_contain_text("stop")
    field.press_sequentially("o")
    expect(offers).to_have_count(1)
    field.press("Tab")
    expect(field).to_have_value("/devflow stop")


def test_what_people_write_is_never_markup(open_page: OpenPage) -> None:
    """Tags, entities, a NUL and right-to-left marks are shown as they were typed, and nothing is fetched or run."""
    page = open_page()
    nasty = "echo '<img src=x onerror=alert(1)> &lt;b&gt; <script>1</script> \u202e ok'"
    start(page, f"start demo/hello {nasty}")
    expect(card(page)).to_contain_text("Ready for prompts")
    expect(card(page)).to_contain_text("<img src=x onerror=alert(1)> &lt;b&gt; <script>1</script>")
    assert page.locator("img[src=x]").count() == 0


def test_the_channel_stays_at_its_end_while_a_thread_opens_beside_it(open_page: OpenPage) -> None:
    """The pane makes the channel narrower, so its messages grow: the newest is still seen whole."""
    page = open_page()
    for _ in range(3):
        composer = page.get_by_test_id("channel-composer")
        composer.locator("textarea").fill("/devflow help")
        composer.get_by_test_id("send").click()
    expect(page.get_by_test_id("message").filter(has_text="this page")).to_have_count(3)
    start(page, "start demo/hello ls")
    expect(card(page)).to_contain_text("Ready for prompts")
    below = "[...document.querySelectorAll('.scroller')].map((it) => it.scrollHeight - it.scrollTop - it.clientHeight)"
    page.wait_for_function(f"{below}[0] < 5")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen(open_page: OpenPage, width: int) -> None:
    """Nothing is wider than the window: on a desk and on a phone."""
    page = open_page(width=width)
    expect(page.get_by_test_id("message").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_from_the_form_to_home_over_a_killed_bot(open_page: OpenPage, sandbox: SandboxProcess) -> None:
    """`/devflow` opens the form; the drawer shows the item; kill -9 loses nothing; Home stops it."""
    page = open_page()
    composer = page.get_by_test_id("channel-composer")
    composer.locator("textarea").fill("/devflow")
    composer.get_by_test_id("send").click()
    form = page.get_by_test_id("modal")
    expect(form).to_be_visible()
    form.locator('[data-action-id="form_repository"] input').fill("hel")
    page.get_by_role("option", name="demo/hello").click()
    form.locator('[data-action-id="form_base"] input').fill("no such branch")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.keyboard.press("Escape")
    form.locator("textarea").fill("echo from the form")
    form.get_by_test_id("modal-submit").click()
    expect(form).to_be_hidden()
    expect(card(page)).to_contain_text("echo from the form")
    expect(card(page)).to_contain_text("Ready for prompts")

    page.get_by_test_id("thread-backstage").click()
    drawer = page.get_by_test_id("backstage")
    expect(drawer.get_by_test_id("backstage-item")).to_contain_text("running")
    expect(drawer.get_by_test_id("backstage-task")).to_contain_text("RUNNING")
    expect(drawer.get_by_test_id("backstage-bot")).to_contain_text("hears Slack")
    started = drawer.get_by_test_id("backstage-past").get_by_text("started as process")
    count = started.count()
    mine = say(page, "sleep 2; echo nothing is lost")
    expect(mine.locator('[data-testid="reaction"]')).to_be_visible()
    drawer.get_by_test_id("kill-bot").click()
    expect(drawer.get_by_test_id("backstage-past")).to_contain_text("kill -9 to process")
    expect(started).to_have_count(count + 1)
    expect(thread_of(page).get_by_text("nothing is lost", exact=True)).to_be_visible()
    expect(mine.locator('[data-testid="reaction"][data-name="white_check_mark"]')).to_be_visible()
    expect(drawer.get_by_test_id("backstage-calls")).to_contain_text("chat.postMessage")

    page.get_by_test_id("home").click()
    home = page.locator(".home")
    expect(home).to_contain_text("echo from the form")
    home.locator('[data-action-id="home_stop"]').first.click()
    expect(home.locator('[data-action-id="home_stop"]')).to_have_count(0)
    home.locator('[data-action-id="link_thread"]').first.click()
    expect(card(page)).to_contain_text("Stopped")
