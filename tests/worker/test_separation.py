"""Worker and agent as two users: what the agent plants runs as the agent or not at all, and sees nothing of the worker.

Real users need root, which CI has. Elsewhere what can be told without it is told (`test_without_a_user_of_its_own`),
and the other tests say loudly why they were not run.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slackbot.core.errors import ConfigError
from slackbot.worker.checkout import Checkout
from slackbot.worker.confinement import Confinement, ScriptFailed, find_confinement
from slackbot.worker.git_identity import Credentials
from slackbot.worker.leaving import save
from slackbot.worker.outbound import proxy_variables
from slackbot.worker.place import CheckoutBroken, Place
from slackbot.worker.publish import Publisher
from tests.worker.conftest import BRANCH, session_info
from tests.worker.git_server import TOKEN, GitServer, git

UID = 20_000 + os.getpid() % 40_000
"""Of this process alone: all that runs under it is ended, and tests run side by side."""
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="changing users needs root: the two users were NOT TESTED"
)
SECRET = "worker-token-that-nobody-else-may-read"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user reaches; pytest's own is closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="devflow-separate-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@dataclass
class Desk:
    checkout: Checkout
    publisher: Publisher
    confinement: Confinement
    bare: Path
    told: Path
    """A file that everybody may append to: what ran, and as whom."""

    def as_agent(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the agent does in its checkout."""
        return subprocess.run(
            self.confinement.wrap(("/bin/sh", "-c", script, "sh", *arguments)),
            cwd=self.checkout.place.checkout,
            env={"PATH": os.environ["PATH"], "HOME": str(self.checkout.place.home)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
async def desk(place: Path) -> AsyncIterator[Desk]:
    async with GitServer(place / "git") as server:
        bare = server.create("hello", {"hello.py": "print()\n"})
        confinement = find_confinement(f"{UID}:{UID}")
        work = Place(place / "work", confinement)
        work.prepare()
        checkout = Checkout(work, session_info(server.url("hello")))

        async def token(renew: bool) -> Credentials:
            return Credentials(checkout.prefix, TOKEN)

        publisher = Publisher(checkout, token)
        await publisher.clone()
        told = place / "told"
        told.touch()
        told.chmod(0o666)
        yield Desk(checkout, publisher, confinement, bare, told)


@needs_root
async def test_an_attack_repository_runs_nothing_as_the_worker(desk: Desk, place: Path) -> None:
    """Hooks, fsmonitor, filters, helpers, insteadOf, submodule, links: the work goes out, no trap sees the worker."""
    (place / "secret").write_text(SECRET)
    (place / "secret").chmod(0o600)
    planted = desk.as_agent(
        r"""
        set -e
        cat > "$HOME/trap" <<END
#!/bin/sh
{ id -u; env; cat "$2"; cat /proc/\$PPID/environ; } >> "$1" 2>/dev/null
exec cat
END
        chmod +x "$HOME/trap"
        for hook in pre-commit post-checkout post-index-change reference-transaction pre-push post-merge update; do
            mkdir -p .git/hooks; ln -sf "$HOME/trap" .git/hooks/$hook
        done
        git config core.hooksPath .git/hooks
        git config core.fsmonitor "$HOME/trap"
        git config core.sshCommand "$HOME/trap"
        git config core.pager "$HOME/trap"
        git config credential.helper "!$HOME/trap"
        git config filter.evil.clean "$HOME/trap"
        git config filter.evil.smudge "$HOME/trap"
        git config filter.evil.process "$HOME/trap"
        git config diff.evil.textconv "$HOME/trap"
        git config url."ext::$HOME/trap ".insteadOf http://
        printf '* filter=evil diff=evil\n' > .gitattributes
        printf '[submodule "s"]\n path = s\n url = ext::%s\n' "$HOME/trap" > .gitmodules
        ln -s "$2" link; ln -s / root; ln -s "$2" .git/info/grafts
        rm -f .git/info/exclude; mkfifo .git/info/exclude
        rm -f .git/index; ln -s "$2" .git/index
        echo mine > mine.txt
        """,
        str(desk.told),
        str(place / "secret"),
    )
    assert planted.returncode == 0, planted.stderr
    head, _ = await desk.checkout.commit_leftovers("Do it\n\nDevFlow-Turn: T1\n")
    published = await desk.publisher.publish(head)
    assert published is not None
    assert git(desk.bare, "show", f"{BRANCH}:mine.txt") == "mine\n"
    told = desk.told.read_text()
    assert SECRET not in told
    assert TOKEN not in told
    assert "0" not in told.splitlines(), "something ran as the worker"
    for path in desk.checkout.place.agents.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert TOKEN.encode() not in content
            assert SECRET.encode() not in content


@needs_root
async def test_what_the_agents_user_can_and_cannot(desk: Desk, place: Path) -> None:
    """It works in its checkout with plain git; it writes to nothing of the worker's, and gets no privileges back."""
    done = desk.as_agent("git log --oneline && git checkout -q -b mine && echo x > x && git add x && git commit -qm x")
    assert done.returncode == 0, done.stderr
    assert desk.as_agent("id -u; id -g; id -G").stdout.split() == [str(UID)] * 3
    origin, scratch = desk.checkout.place.origin, desk.checkout.place.scratch
    for script in (
        f"echo x > {origin}/config",
        f"rm -rf {origin}/objects && ! test -e {origin}/objects",
        f"ls {scratch}",
        f"ls {desk.checkout.place.root}",
        "setpriv --reuid 0 true",
        "kill -0 $PPID",
    ):
        assert desk.as_agent(script).returncode != 0, script
    status = desk.as_agent("cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj").stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert re.search(r"Max core file size +0 ", status)
    assert re.search(r"Max processes +4096 ", status)
    assert re.search(r"Max data size +\d+ ", status)
    assert status.rstrip().endswith("\n500")


@needs_root
async def test_the_worker_shows_nothing_of_itself_in_proc(desk: Desk) -> None:
    """A worker with its token: environment, memory, files and command line, as the agent sees them."""
    program = (
        "import sys; from slackbot.worker.processes import forbid_inspection, take_secret; "
        "kept = take_secret('DEVFLOW_WORKER_TOKEN'); forbid_inspection(); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "DEVFLOW_WORKER_TOKEN": SECRET, "PYTHONPATH": os.getcwd()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        pid = worker.pid
        looks = f"cd /proc/{pid} && cat cmdline status; cat environ maps; ls -l fd; head -c 100 mem; kill -9 {pid}"
        seen = desk.as_agent(looks)
        assert SECRET not in seen.stdout
        assert "Uid:" in seen.stdout
        assert worker.poll() is None
        everywhere = desk.as_agent("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null").stdout
        assert SECRET not in everywhere
        worker.kill()


@needs_root
async def test_a_file_that_the_agent_may_not_read_keeps_no_other_back(desk: Desk) -> None:
    """As tests of permissions leave them; also at the end, when it is now or never."""
    desk.as_agent("echo mine > mine.txt; echo no > closed; echo no >> hello.py; chmod 000 closed hello.py")
    saved = await save(desk.checkout, desk.publisher, "signal", hurry=True)
    note = "Not committed, because they cannot be read: closed, hello.py."
    assert saved == (git(desk.bare, "rev-parse", BRANCH).strip(), note)
    assert git(desk.bare, "show", f"{BRANCH}:mine.txt") == "mine\n"
    assert git(desk.bare, "show", f"{BRANCH}:hello.py") == "print()\n"


@needs_root
async def test_ending_the_agent_leaves_nothing_of_it(desk: Desk) -> None:
    """Also what daemonised: every process of the agent's user goes, but for what descends from the editor."""

    async def start(script: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *desk.confinement.wrap(("/bin/sh", "-c", script)),
            stdout=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
            start_new_session=True,
        )

    editor = await start("sleep 1001 & wait")
    desk.confinement.spared.add(editor.pid)
    agent = await start("(setsid sh -c 'sleep 1002 & sleep 1003' &) ; sleep 1004")
    for _ in range(500):
        if all(_runs(f"sleep {number}") for number in (1001, 1002, 1003, 1004)):
            break
        await asyncio.sleep(0.01)
    await desk.confinement.end(agent)
    assert [number for number in (1001, 1002, 1003, 1004) if _runs(f"sleep {number}")] == [1001]
    desk.confinement.spared.clear()
    await desk.confinement.end(editor)
    assert not _runs("sleep 1001")


@needs_root
async def test_what_is_never_there_twice_does_not_get_away(desk: Desk) -> None:
    """Processes that fork and end at once are another one whenever somebody looks; the editor goes on."""
    walk = "import os\nfor _ in range(8):\n  if os.fork() == 0:\n    while True:\n      if os.fork(): os._exit(0)\n"

    async def start(*command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *desk.confinement.wrap(command), stdout=asyncio.subprocess.PIPE, start_new_session=True
        )

    editor = await start("/bin/sh", "-c", "sleep 1005 & wait")
    desk.confinement.spared.add(editor.pid)
    agent = await start(sys.executable, "-I", "-S", "-c", f"{walk}print('walking', flush=True)\nos.read(0, 1)")
    assert agent.stdout is not None
    assert await agent.stdout.readline() == b"walking\n"
    await desk.confinement.end(agent)
    # Looked at while nothing of the user's can move.
    subprocess.run(desk.confinement.plain(("/bin/kill", "-STOP", "--", "-1")), check=False)
    ps = ["ps", "-U", str(UID), "-o", "stat=,args="]
    rows = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.splitlines()
    subprocess.run(desk.confinement.plain(("/bin/kill", "-CONT", "--", "-1")), check=False)
    alive = sorted(row.split(maxsplit=1)[1] for row in rows if not row.startswith("Z"))
    assert alive == ["/bin/sh -c sleep 1005 & wait", "sleep 1005"]
    desk.confinement.spared.clear()
    await desk.confinement.end(editor)
    assert not _runs("sleep 1005")


def _runs(command: str) -> bool:
    rows = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return any(row.partition(" ")[2].strip() == command for row in rows if not row.startswith("Z"))


def _users() -> list[Confinement]:
    return [Confinement(), *([find_confinement(f"{UID}:{UID}")] if os.geteuid() == 0 else [])]


@pytest.mark.parametrize("confinement", _users(), ids=lambda confinement: f"separate={confinement.is_separate}")
def test_a_script_that_hangs_is_ended_whole(confinement: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what it waits for, and where the worker itself may send nothing to the agent's processes."""
    monkeypatch.setattr("slackbot.worker.confinement.SCRIPT_SECONDS", 0.5)
    if confinement.is_separate:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        monkeypatch.setattr(os, "kill", _forbidden)
        monkeypatch.setattr(os, "killpg", _forbidden)
    with pytest.raises(ScriptFailed, match="did not answer"):
        confinement.script("sleep 1006 | cat; :")
    assert not _runs("sleep 1006")


def _forbidden(*_: object) -> None:
    raise PermissionError


def test_a_user_that_cannot_be_changed_to_starts_nothing() -> None:
    """Named and not to be had is a fault of the settings; the worker's own user and root are no separation."""
    for user in ("no-such-user-here", "0:0", f"{os.geteuid()}:0"):
        with pytest.raises(ConfigError) as caught:
            find_confinement(user)
        assert caught.value.faults[0].startswith("DEVFLOW_AGENT_USER: ")


def test_the_agent_goes_out_by_the_workers_proxy() -> None:
    """In either case of the names, and never for what is on loopback; nothing where there is none."""
    assert proxy_variables({"PATH": "/bin", "NO_PROXY": "x"}) == {}
    found = proxy_variables({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.1, .internal"})
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["no_proxy"] == found["NO_PROXY"] == "10.0.0.1,.internal,127.0.0.1,localhost,::1"
    assert "http_proxy" not in found


def test_without_a_user_of_its_own() -> None:
    """The limits hold and no new privileges are got; that nothing separates them is said."""
    confinement = find_confinement(None)
    assert "same user as its worker" in confinement.note
    shown = subprocess.run(
        confinement.wrap(("cat", "/proc/self/status", "/proc/self/limits")), capture_output=True, text=True, check=True
    ).stdout
    if sys.platform == "linux" and shutil.which("setpriv"):
        assert "NoNewPrivs:\t1" in shown
        assert re.search(r"Max core file size +0 ", shown)
    with pytest.raises(CheckoutBroken):
        Place(Path("/nowhere"), confinement).as_agent("exit 3")
