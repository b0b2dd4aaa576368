"""What an agent may leave for the worker's git to fall into, with a user of its own and without: nothing of it runs.

`test_separation` has the traps of the agent's own repository; here are those beside it, and what it broke.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from slackbot.worker.checkout import Checkout
from slackbot.worker.confinement import find_confinement
from slackbot.worker.git_identity import Credentials
from slackbot.worker.place import Place
from slackbot.worker.publish import Publisher
from tests.worker.conftest import BRANCH, session_info
from tests.worker.git_server import TOKEN, GitServer, git
from tests.worker.test_separation import UID, Desk

BOTH = ["separate", "same"] if os.geteuid() == 0 and sys.platform == "linux" else ["same"]
TRAP = """
    set -e
    printf '#!/bin/sh\necho ran >> "%s"\nexec cat\n' "$1" > "$HOME/trap"
    chmod +x "$HOME/trap"
"""


@pytest.fixture
def reached() -> Iterator[Path]:
    """A directory that every user reaches."""
    directory = Path(tempfile.mkdtemp(prefix="devflow-traps-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(params=BOTH)
async def desk(request: pytest.FixtureRequest, reached: Path) -> AsyncIterator[Desk]:
    async with GitServer(reached / "git") as server:
        bare = server.create("hello", {"hello.py": "print()\n"})
        work = Place(reached / "work", find_confinement(f"{UID}:{UID}" if request.param == "separate" else None))
        work.prepare()
        checkout = Checkout(work, session_info(server.url("hello")))

        async def token(renew: bool) -> Credentials:
            return Credentials(checkout.prefix, TOKEN)

        publisher = Publisher(checkout, token)
        await publisher.clone()
        told = reached / "told"
        told.touch()
        told.chmod(0o666)
        yield Desk(checkout, publisher, work.confinement, bare, told)


@pytest.mark.parametrize(
    ("planted", "there"),
    [
        # Where the worker stages, and what a git that was killed leaves there.
        (
            """
            for name in filter.evil.clean filter.evil.smudge core.fsmonitor core.alternateRefsCommand; do
                git --git-dir=../staging.git config $name "$HOME/trap"
            done
            mkdir -p ../staging.git/info ../staging.git/hooks
            echo '* filter=evil' > ../staging.git/info/attributes
            ln -s "$HOME/trap" ../staging.git/hooks/post-index-change
            printf '[core]\nfsmonitor = %s\n' "$HOME/trap" > ../staging.git/config.worktree
            touch ../staging.git/index.lock
            """,
            [],
        ),
        # The whole repository elsewhere, other heads and tags, a past and objects of its own.
        (
            """
            mv .git "$HOME/elsewhere"; ln -s "$HOME/elsewhere" .git
            git config core.worktree "$PWD"; git config extensions.worktreeConfig true
            printf '[core]\nfsmonitor = %s\n' "$HOME/trap" > .git/config.worktree
            git rev-parse HEAD > .git/info/grafts; git tag v1; git update-ref refs/heads/evil HEAD
            git symbolic-ref HEAD refs/heads/evil; echo /root >> .git/objects/info/alternates
            """,
            [],
        ),
        # Repositories and settings in directories of the checkout, links out of it, names that are no text.
        (
            r"""
            git init -q own; git -C own config core.fsmonitor "$HOME/trap"
            git -C own -c core.fsmonitor=false -c user.name=a -c user.email=a@b commit -q --allow-empty -m x
            mkdir sub; echo "gitdir: $HOME/none" > sub/.git; echo x > sub/kept
            git config filter.evil.clean "$HOME/trap"; git config diff.external "$HOME/trap"
            mkdir deep; echo '* filter=evil' > deep/.gitattributes; echo x > deep/file
            ln -s /proc/self/environ out; ln -s ../../.. up; ln -s / .devflow; touch -- -x "$(printf 'a\nb\377')"
            """,
            ["deep/file", "sub/kept", "out", "up", "-x"],
        ),
    ],
    ids=["staging", "elsewhere", "inside"],
)
async def test_no_trap_runs(desk: Desk, planted: str, there: list[str]) -> None:
    """The work goes to the branch and to nothing else; what was planted stays where it is."""
    refs = git(desk.bare, "for-each-ref", "--format=%(refname)")
    done = desk.as_agent(f"{TRAP}\n{planted}\necho mine > mine.txt", str(desk.told))
    assert done.returncode == 0, done.stderr
    desk.told.write_text("")  # what the agent's own git ran is its own affair
    head, _ = await desk.checkout.commit_leftovers("Do it\n")
    assert await desk.publisher.publish(head) is not None
    await desk.checkout.move(desk.checkout.synced, head)
    assert desk.told.read_text() == ""
    assert git(desk.bare, "show", f"{BRANCH}:mine.txt") == "mine\n"
    assert set(there) <= set(git(desk.bare, "ls-tree", "-r", "--name-only", BRANCH).splitlines())
    assert git(desk.bare, "for-each-ref", "--format=%(refname)") == refs
