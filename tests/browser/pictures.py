"""Takes the pictures of docs/images anew: `make pictures`. A sandbox of its own, and people at its page in Chromium.

What is shown happened: the bot, the workers, git and the shell agent are the sandbox's own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from slackbot.sandbox.github.demo import FIX_COMMAND
from tests.browser.conftest import ARGUMENTS
from tests.conftest import find_browser
from tests.e2e.sandbox_process import ADA, GRACE, SandboxProcess, until

IMAGES = Path(__file__).parents[2] / "docs" / "images"
BOT = "<@U0DEVFLOW>"


def take(page: Page, name: str) -> None:
    page.mouse.move(400, 120)
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


def thread(sandbox: SandboxProcess, page: Page) -> str:
    """A session of two people, from the fix to a prompt in work and one that waits; its pull request's address."""
    ts = sandbox.start_session(f"start demo/hello {FIX_COMMAND}")
    sandbox.item_with(ts, "the answer", lambda item: item["history"][0].get("response_ts"))
    page.goto(f"{sandbox.addresses['slack_url']}/archives/C0SANDBOX/p{ts.replace('.', '')}")
    pane = page.get_by_test_id("thread-pane")
    pane.locator('[data-action-id="session_open_pr"]').last.click()
    page.get_by_test_id("modal").locator("input").first.fill("Greet with a comma")
    page.get_by_test_id("modal-submit").click()
    item = sandbox.item_with(ts, "the pull request", lambda item: item.get("pr_url"))
    expect(pane).to_contain_text("is open –")
    sandbox.reply(ts, f"{BOT} for test in 1 2 3 4; do echo check $test of 4; sleep 3; done")
    until("the work on it", lambda: "check 1" in str(sandbox.thread(ts)))
    sandbox.reply(ts, f"{BOT} python3 hello.py Ada Grace", GRACE)
    expect(pane).to_contain_text("Now")
    expect(pane).to_contain_text("check 3 of 4")
    take(page, "thread")
    sandbox.item_with(ts, "both answers", lambda item: all(turn.get("response_ts") for turn in item["history"]))
    return str(item["pr_url"])


def behind_the_scenes(page: Page) -> None:
    """The bot is killed while the agent works; the answer stands in the thread."""
    pane = page.get_by_test_id("thread-pane")
    page.get_by_test_id("thread-backstage").click()
    drawer = page.get_by_test_id("backstage")
    composer = pane.get_by_test_id("thread-composer")
    composer.locator("textarea").fill("@DevFlow sleep 6; echo nothing is lost")
    composer.get_by_test_id("send").click()
    mine = pane.get_by_test_id("message").filter(has_text="nothing is lost").first
    expect(mine.get_by_test_id("reaction")).to_be_visible()
    drawer.get_by_test_id("kill-bot").click()
    expect(drawer.get_by_test_id("backstage-past")).to_contain_text("kill -9 to process")
    expect(mine.locator('[data-name="white_check_mark"]')).to_be_visible()
    expect(pane.get_by_text("nothing is lost", exact=True)).to_be_visible()
    take(page, "behind-the-scenes")


def main() -> None:
    expect.set_options(timeout=60_000)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        SandboxProcess(Path(directory) / "state") as sandbox,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1240, "height": 1000})
        page.goto(sandbox.addresses["slack_url"])
        page.get_by_test_id("person-switch").select_option(ADA)
        address = thread(sandbox, page)
        behind_the_scenes(page)
        page.set_viewport_size({"width": 1200, "height": 900})
        page.goto(address)
        take(page, "pull-request")
        browser.close()
        sandbox.end()


if __name__ == "__main__":
    main()
