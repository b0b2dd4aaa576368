"""The real code-server through the gateway, in a real browser: somebody opens a file, types and saves."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.sandbox_process import ADA, SandboxProcess, fetch, turn, until, words

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def link_of(sandbox: SandboxProcess, thread_ts: str, user_id: str = ADA) -> str:
    """Presses Open editor and gives the link that this person alone is shown."""
    known = {message["ts"] for message in sandbox.thread(thread_ts, user_id)}
    sandbox.press(thread_ts, "session_editor", user_id)

    def shown() -> str | None:
        for message in sandbox.thread(thread_ts, user_id):
            if message["ts"] not in known and message.get("is_ephemeral") and "/open/" in words(message):
                for block in message["blocks"]:
                    if block["type"] == "actions":
                        return str(block["elements"][0]["url"])
        return None

    return until("a link into the editor", shown)


def checkout_of(sandbox: SandboxProcess) -> Path:
    """Where the one worker that runs has its checkout."""
    for pid in sandbox.task_pids():
        for entry in Path(f"/proc/{pid}/environ").read_text().split("\0"):
            if entry.startswith("DEVFLOW_WORK_DIR="):
                return Path(entry.partition("=")[2]) / "checkout"
    raise AssertionError("no worker runs")


def workbench(page: Page, url: str) -> None:
    """Goes in by the link's button and waits for the editor."""
    page.goto(url)
    page.get_by_role("button", name="Open the editor").click()
    expect(page.locator(".monaco-workbench")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.timeout(300)
def test_a_person_edits_a_file_and_the_next_commit_has_it(
    browser: Browser, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Link, button, cookie, workbench, file, typing, saving; a commit of its own; and Stop ends it."""
    thread_ts = sandbox.start_session("start demo/hello echo begun")
    sandbox.item_with(thread_ts, "an answer", lambda item: turn(item, "echo begun").get("state") == "answered")
    url = link_of(sandbox, thread_ts)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    sockets: list[str] = []
    page.on("websocket", lambda opened: sockets.append(opened.url))
    try:
        workbench(page, url)
        page.get_by_role("treeitem", name="hello.py").first.dblclick()
        lines = page.locator(".editor-instance .view-lines").first
        expect(lines).to_contain_text("def")
        lines.click()
        page.keyboard.press("Control+End")
        page.keyboard.type("\n# typed in the editor\n")
        expect(lines).to_contain_text("# typed in the editor")
        page.keyboard.press("Control+s")
        until(
            "the file on the disk", lambda: "# typed in the editor" in (checkout_of(sandbox) / "hello.py").read_text()
        )
        assert sockets
        assert all(f"/s/{sandbox.item(thread_ts)['session_id']}/" in address for address in sockets)  # type: ignore[index]

        sandbox.reply(thread_ts, "git log -2 --format=%s; git status --short | head -3")
        item = sandbox.item_with(
            thread_ts,
            "the answer",
            lambda item: len(item["history"]) == 2 and item["history"][1]["state"] == "answered",
        )
        assert "Edit in the web editor" in item["history"][1]["response"]
        head = sandbox.ls_remote(item)
        assert head == item["history"][1]["commit_sha"]
        clone = tmp_path / "clone"
        address = f"{sandbox.addresses['github_url']}/demo/hello.git"
        subprocess.run(["git", "clone", "-q", "-b", item["branch_name"], address, str(clone)], check=True)
        shown = subprocess.run(
            ["git", "log", "-1", "--format=%s", "-p"], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
        assert shown.startswith("Edit in the web editor")
        assert "+# typed in the editor" in shown

        # The link is used up, and the address alone opens nothing.
        other = browser.new_context()
        second = other.new_page()
        second.goto(url)
        second.get_by_role("button", name="Open the editor").click()
        expect(second.locator("body")).to_contain_text(re.compile("used already|not good"))
        assert fetch(item["editor_url"])[0] == 403
        other.close()

        sandbox.press(thread_ts, "session_stop")
        sandbox.item_with(thread_ts, "the end", lambda item: item["status"] == "stopped")
        until("the editor to close", lambda: page.evaluate("fetch(location.href).then(r => r.status)") == 403)
        assert json.dumps(item).find("devflow-door") == -1
    finally:
        context.close()
