"""What holds for every test: a clean environment, no way off this machine, and a loud word about what was not run."""

from __future__ import annotations

import functools
import gc
import ipaddress
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

import slackbot.worker.acp_import  # noqa: F401  before whatever test imports ACP, and quicker

# The same cases in every run, whatever the machine's speed. To look for new ones: --hypothesis-profile=explore
# Shrinking a failure takes longer than a test may, which would then hide it behind a timeout.
_PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", **_PATIENT, derandomize=True, phases=[Phase.explicit, Phase.generate, Phase.target])
settings.register_profile("explore", **_PATIENT, print_blob=True)
settings.load_profile("same")

_FOREIGN_PREFIXES = ("SLACK_", "GITHUB_", "GH_", "AWS_", "DEVFLOW_", "ANTHROPIC_", "OPENAI_", "GEMINI_", "GIT_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"}
_OWN_SWITCHES = {"DEVFLOW_TEST_REQUIRE_ALL", "DEVFLOW_TEST_AGENTS"}

_LONG_ONES = {name: place for place, name in enumerate(("e2e", "faults", "browser", "wire", "worker", "contract"))}

NO_BROWSER = "no Chromium was found on this machine"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC_BROWSERS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find_browser() -> str | None:
    """The system's Chromium or Chrome."""
    found = (shutil.which(name) for name in (*_BROWSERS, *_MAC_BROWSERS))
    return next((path for path in found if path), None)


def _is_foreign(name: str) -> bool:
    return name not in _OWN_SWITCHES and (name.startswith(_FOREIGN_PREFIXES) or name.lower() in _PROXIES)


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported or started: what this shell has set must not decide a test."""
    # Until all is collected: nearly nothing of it is garbage, and it is much to look through.
    gc.disable()
    for name in filter(_is_foreign, list(os.environ)):
        del os.environ[name]
    # Else each of the hundreds of processes that tests start would compile DevFlow anew, and read the certificates of
    # hosts that none of them may speak to.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["SSL_CERT_FILE"] = os.devnull
    # Every client of a test has a session of its own, and each of those would read the services' models again.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: _LONG_ONES.get(item.path.parent.name, len(_LONG_ONES)))


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def clean_environment() -> Iterator[None]:
    """A test that changes the environment changes it for itself alone."""
    before = dict(os.environ)
    yield
    if os.environ != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """A test that runs a command in this process, which sets logging up, does so for itself alone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Tests talk to this machine only: anything else is refused before it leaves."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise PermissionError(f"a test tried to reach {address[0]}:{address[1]}, which is not this machine")

    def connect_checked(self: socket.socket, address: Any) -> None:
        checked(self, address)
        connect(self, address)

    def connect_ex_checked(self: socket.socket, address: Any) -> int:
        checked(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_checked)
        patch.setattr(socket.socket, "connect_ex", connect_ex_checked)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("localhost", "")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where no browser is found, its tests are skipped loudly, or fail where everything must run."""
    if item.get_closest_marker("browser") is not None and find_browser() is None:
        if os.environ.get("DEVFLOW_TEST_REQUIRE_ALL"):
            pytest.fail(f"{NO_BROWSER}, and DEVFLOW_TEST_REQUIRE_ALL is set", pytrace=False)
        pytest.skip(NO_BROWSER)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says at the end, where it is read, that the page was not tested."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if NO_BROWSER in str(report.longrepr)]
    if not skipped:
        return
    terminalreporter.section("THE PAGE WAS NOT TESTED", sep="!", red=True, bold=True)
    for line in (
        f"{len(skipped)} tests that drive the sandbox's page were NOT RUN: {NO_BROWSER}.",
        "Install it and run them again:   .venv/bin/python -m pytest -m browser",
        "  Debian, Ubuntu:  sudo apt-get install chromium      macOS:  brew install --cask chromium",
        "With DEVFLOW_TEST_REQUIRE_ALL=1 this is a failure instead of a note.",
    ):
        terminalreporter.write_line(line, yellow=True)
