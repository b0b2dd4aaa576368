"""Which files of a message reach the agent, and under which names."""

from __future__ import annotations

from typing import Any

import pytest

from slackbot.core.attachments import MAX_FILE_BYTES, MAX_FILES, Attached, attached_of, choose, safe_name


def entry(name: str = "a.txt", mimetype: str = "text/plain", size: Any = 10, **more: Any) -> dict[str, Any]:
    return {"id": "F0A", "name": name, "mimetype": mimetype, "size": size, "mode": "hosted", **more}


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (entry(), None),
        (entry("shot.png", "image/png"), None),
        (entry("main.rs", "application/octet-stream"), None),
        (entry("all.tar.gz", "application/x-compressed-tar"), None),
        (entry("report.pdf", "application/pdf"), None),
        (entry("film.mp4", "video/mp4"), "kind"),
        (entry("setup.exe", "application/x-msdownload"), "kind"),
        (entry("doc", "text/plain", mode="external"), "kind"),
        (entry("gone.txt", mode="tombstone"), "kind"),
        (entry(size=MAX_FILE_BYTES), None),
        (entry(size=MAX_FILE_BYTES + 1), "size"),
    ],
)
def test_kinds_and_sizes(file: dict[str, Any], why: str | None) -> None:
    taken, left_out = choose(attached_of([file]))
    assert [each.why for each in left_out] == ([why] if why else [])
    assert len(taken) == (0 if why else 1)


def test_number_and_total() -> None:
    """The first so many, and as many as fit together."""
    taken, left_out = choose([Attached(f"F{n}", f"{n}.txt", 1, "text/plain") for n in range(MAX_FILES + 2)])
    assert [file.name for file in taken] == [f"{n}.txt" for n in range(MAX_FILES)]
    assert {each.why for each in left_out} == {"number"}
    taken, left_out = choose([Attached(f"F{n}", f"{n}.txt", MAX_FILE_BYTES, "text/plain") for n in range(4)])
    assert (len(taken), [each.why for each in left_out]) == (2, ["total", "total"])


@pytest.mark.parametrize("files", [None, "x", 5, {}, [1, None, {}, {"id": 5}, {"id": "../x"}, {"id": ""}]])
def test_what_is_no_list_of_files(files: object) -> None:
    assert attached_of(files) == ()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.png", "y.png"),
        (".bashrc", "bashrc"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("", "file"),
        ("...", "file"),
        ("x" * 300 + ".png", "x" * 116 + ".png"),
    ],
)
def test_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert len(safe) <= 120
