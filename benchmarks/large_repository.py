"""A worker on a repository with a long past, beside a full `git clone` of it: seconds, and bytes fetched.

The repository is made here by `git fast-import`, from a seeded generator, into the sandbox's stand-in of GitHub.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Row, percentile
from benchmarks.worker_ready import Ground, ground, ready_row, start_agent
from slackbot.worker.checkout import CLONE_DEPTH, Checkout
from slackbot.worker.git import Credentials
from slackbot.worker.place import Place

ROUNDS = 3
REPOSITORY = "demo/large"
COMMITS, FILES, FILE_BYTES, CHANGED_FILES = 3000, 4000, 4500, 3


def measure() -> Sequence[Row]:
    return asyncio.run(_measure())


async def _measure() -> Sequence[Row]:
    async with ground() as at:
        row = await at.github.create_repository(REPOSITORY, empty=True)
        await _import(at.github.world.git(row).path)
        await at.begin_branch(REPOSITORY)
        ready, clones, agents, checkouts = [], [], [], []
        for number in range(ROUNDS):
            ready.append(await at.worker_ready(REPOSITORY))
            agents.append(await start_agent())
            place, clone = Place(at.directory / f"work{number}"), at.directory / f"clone{number}"
            clones.append(await at.clone(REPOSITORY, str(clone)))
            checkouts.append(await _check_out(at, place))
            fetched, all_of_it = _pack_bytes(place.origin), _pack_bytes(clone / ".git")
    mine, base = percentile(checkouts, 50), percentile(clones, 50)
    return [
        Row(
            f"the worker's checkout, {CLONE_DEPTH} commits deep", f"{mine:.2f} s", f"{base:.2f} s", f"{mine / base:.2f}"
        ),
        Row(
            "fetched for it",
            f"{fetched / 1e6:.1f} MB",
            f"{all_of_it / 1e6:.1f} MB",
            f"{fetched / all_of_it:.2f}",
        ),
        ready_row(f"worker ready, median of {ROUNDS}", ready, clones, agents),
    ]


async def _check_out(at: Ground, place: Place) -> float:
    place.prepare()
    checkout = Checkout(place, at.session(REPOSITORY))
    began_at = time.perf_counter()
    await checkout.clone(Credentials(checkout.prefix, "not-asked-for"))
    return time.perf_counter() - began_at


def _pack_bytes(git_dir: Path) -> int:
    """What was fetched: git keeps a large fetch as the pack in which it came."""
    return sum(pack.stat().st_size for pack in (git_dir / "objects" / "pack").glob("*.pack"))


async def _import(repository: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("git", f"--git-dir={repository}", "fast-import", "--quiet"), stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    for part in _history():
        process.stdin.write(part)
        await process.stdin.drain()
    process.stdin.close()
    if await process.wait() != 0:
        raise RuntimeError("git fast-import failed")


def _history() -> Iterator[bytes]:
    """A stream for `git fast-import` (https://git-scm.com/docs/git-fast-import): all files, then changes of some."""
    chance = random.Random(1)
    for number in range(COMMITS):
        message = b"Change %d\n" % number
        yield b"commit refs/heads/main\ncommitter Ada <ada@example.com> %d +0000\n" % (1_700_000_000 + number)
        yield b"data %d\n%s" % (len(message), message)
        files = range(FILES) if number == 0 else chance.sample(range(FILES), CHANGED_FILES)
        for file in files:
            text = base64.encodebytes(chance.randbytes(FILE_BYTES * 3 // 4))
            yield b"M 100644 inline part%02d/file%04d.txt\ndata %d\n%s\n" % (file % 50, file, len(text), text)


FIGURE = Figure("large-repository", "A worker on a repository of 3,000 commits (baseline: a full git clone)", measure)
