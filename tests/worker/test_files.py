"""Files between the gateway and the checkout: fetched beside version control, shown once, links not followed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slackbot.core.errors import PermanentError
from slackbot.worker import files as files_module
from slackbot.worker.files import Attachment, Files, prompt_blocks
from slackbot.worker.place import Place
from slackbot.worker_protocol import AttachedFile, TurnWork


class Gateway:
    """Has the files of one prompt; keeps what is shown."""

    def __init__(self, *contents: bytes | Exception) -> None:
        self.contents = contents
        self.shown: list[tuple[str, bytes]] = []

    async def file(self, turn_id: str, number: int, target: Path, limit_bytes: int) -> None:
        content = self.contents[number]
        if isinstance(content, Exception):
            raise content
        target.write_bytes(content)

    async def show(self, turn_id: str, name: str, content: bytes) -> None:
        if name == "refused.txt":
            raise PermanentError("Slack refused it.")
        self.shown.append((name, content))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "work")
    made.prepare()
    made.checkout.mkdir()
    return made


def work(*names: str) -> TurnWork:
    files = tuple(AttachedFile(name=name) for name in names)
    return TurnWork(turn_id="C1:1.1", prompt="look", user_id="U1", user_name="Ada", files=files)


def desk(place: Place, gateway: Gateway) -> Files:
    return Files(place, gateway)  # type: ignore[arg-type]  # as much of a gateway as is needed


async def test_files_come_into_the_checkout(place: Place) -> None:
    """Under safe names, none over another; what failed is told to the agent, and nothing half is left."""
    files = desk(place, Gateway(b"\x00one", b"two", PermanentError("It is gone."), b"three"))
    await files.prepare()
    fetched, told = await files.fetch(work("a.txt", "../a.txt", "b.txt", "c"))
    directory = place.checkout / ".devflow" / "attachments"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        "a.txt": b"\x00one", "a-2.txt": b"two", "c": b"three",
    }  # fmt: skip
    assert [each.path.name for each in fetched] == ["a.txt", "a-2.txt", "c"]
    assert "- .devflow/attachments/a-2.txt (3 bytes)" in told
    assert "b.txt could not be fetched: It is gone." in told
    assert list(place.scratch.iterdir()) == []
    assert await files.fetch(work()) == ([], "")


async def test_what_the_agent_shows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain files, each content once; links stay where they are; what was not shown is said."""
    gateway = Gateway()
    files = desk(place, gateway)
    await files.prepare()
    show = place.checkout / ".devflow" / "show"
    (show / "plot.png").write_bytes(b"\x89PNG")
    (show / "with space.txt").write_text("text")
    (show / "refused.txt").write_text("no")
    (show / "folder").mkdir()
    secret = place.root / "secret"
    secret.write_text("secret")
    os.symlink(secret, show / "link.txt")
    note = await files.show("C1:1.1", [("image-1.png", b"\x89PNG"), ("image-2.png", b"other")])
    assert gateway.shown == [("plot.png", b"\x89PNG"), ("with space.txt", b"text"), ("image-2.png", b"other")]
    assert note == "refused.txt was not shown: Slack refused it."
    monkeypatch.setattr(files_module, "MAX_SHOWN", 1)
    (show / "1.txt").write_text("1")
    (show / "2.txt").write_text("2")
    assert "2.txt was not shown: one prompt shows 1 files at most." in await files.show("C1:1.2", [])
    assert [name for name, _ in gateway.shown[3:]] == ["1.txt"]


async def test_a_link_in_place_of_the_folder_shows_nothing(place: Place) -> None:
    gateway = Gateway()
    outside = place.root / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("x")
    (place.checkout / ".devflow").mkdir()
    os.symlink(outside, place.checkout / ".devflow" / "show")
    assert await desk(place, gateway).show("C1:1.1", []) == ""
    assert gateway.shown == []


def test_what_the_agent_is_sent() -> None:
    """The prompt last; images as images where the agent takes them, everything else as a link."""
    attachments = [
        Attachment(Path("/c/a.png"), 3, "image/png", b"png"),
        Attachment(Path("/c/b.txt"), 4, "text/plain"),
    ]

    def kinds(**options: Any) -> list[str]:
        return [block.type for block in prompt_blocks(["before", "prompt"], attachments, **options)]

    assert kinds(images=True) == ["text", "image", "resource_link", "text"]
    assert kinds(images=False) == ["text", "resource_link", "resource_link", "text"]
    assert prompt_blocks(["prompt"], attachments, images=False)[-1].text == "prompt"
