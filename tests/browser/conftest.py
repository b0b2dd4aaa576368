"""A real sandbox and the system's Chromium in front of its page; whatever the console says is a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import find_browser
from tests.e2e.sandbox_process import Json, SandboxProcess, until

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("page") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of this test reported: errors, refused policies, exceptions."""
    return []


@pytest.fixture(autouse=True)
def nothing_left(sandbox: SandboxProcess) -> Iterator[None]:
    """A test's sessions end with it, however it ended: the next one has Home and the quota to itself."""
    yield
    for item in live_items(sandbox):
        sandbox.reply(item["slack"]["thread_ts"], "!stop", item["user_id"])
    until("the end of the test's sessions", lambda: not live_items(sandbox))


def live_items(sandbox: SandboxProcess) -> list[Json]:
    return [item for item in sandbox.items() if item["status"] in ("starting", "running")]


@pytest.fixture
def open_page(browser: Browser, sandbox: SandboxProcess, complaints: list[str]) -> Iterator[OpenPage]:
    """Opens the sandbox's page (or another address) in a context of its own."""
    contexts: list[BrowserContext] = []

    def open_one(url: str | None = None, *, width: int = 1280, height: int = 800) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url or sandbox.addresses["slack_url"])
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
