"""The page over an outage: the sandbox is killed and started again while the page stays open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.sandbox_process import SandboxProcess

pytestmark = pytest.mark.browser


def test_the_page_comes_back_by_itself(browser: Browser, tmp_path: Path) -> None:
    """It says that the sandbox is gone, keeps what was typed, and goes on when it is there again."""
    with SandboxProcess(tmp_path / "state") as sandbox:
        page = browser.new_page()
        page.goto(sandbox.addresses["slack_url"])
        thread_ts = sandbox.start_session("start demo/hello echo before")
        sandbox.item_with(thread_ts, "an answer", lambda i: i["history"][0].get("response_ts"))
        root = page.get_by_test_id("message").filter(has_text="echo before").first
        root.get_by_text(re.compile(r"\d repl(y|ies)")).click()
        pane = page.get_by_test_id("thread-pane")
        expect(pane).to_contain_text("before")
        field = pane.get_by_test_id("thread-composer").locator("textarea")
        field.fill("echo after")

        sandbox.kill()
        expect(page.get_by_text("The sandbox cannot be reached")).to_be_visible(timeout=60_000)
        sandbox.start()

        expect(page.get_by_text("The sandbox cannot be reached")).to_be_hidden(timeout=60_000)
        expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "on", timeout=60_000)
        expect(field).to_have_value("echo after")
        pane.get_by_test_id("send").click()
        sandbox.item_with(
            thread_ts, "an answer", lambda i: len(i["history"]) == 2 and i["history"][1].get("response_ts")
        )
        expect(pane).to_contain_text("echo after", timeout=60_000)
        expect(pane.locator('[data-testid="reaction"][data-name="white_check_mark"]')).to_be_visible(timeout=60_000)
        page.close()
        assert sandbox.end() == 0
