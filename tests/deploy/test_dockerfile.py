"""The Dockerfile as text: what it copies is there, who runs in it, what it must not hold.

Its steps were run by hand with `try_in_chroot`; docs/deploy.md says what that proved.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import PurePosixPath

import pytest

from slackbot.worker.agent_setup import PROVIDERS_OF
from tests.deploy.dockerfile import ROOT, is_ignored, read

DOCKERFILE = read()
IMAGES = ("bot", "worker")


def test_the_stages_are_those_the_docs_name() -> None:
    """`bot` is the last stage, so the one that is built when none is named; `worker` is a target."""
    assert [*DOCKERFILE.stages][-1] == "bot"
    assert "worker" in DOCKERFILE.stages


def test_bases_are_pinned_by_tag() -> None:
    """Version and distribution of each base, never `latest`; the Python is one the project runs on."""
    bases = {stage.base for stage in DOCKERFILE.stages.values()} - set(DOCKERFILE.stages)
    assert bases == set(DOCKERFILE.arguments.values())
    for base in bases:
        assert re.fullmatch(r"(python:3\.\d+|node:\d+)-(slim-bookworm|bookworm-slim)", base)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    (python,) = (base for base in bases if base.startswith("python"))
    version = python.removeprefix("python:").split("-")[0]
    assert tuple(map(int, version.split("."))) >= tuple(map(int, wanted.split(".")))


def test_everything_copied_from_the_project_is_there_and_reaches_the_builder() -> None:
    """Each source of a COPY exists, and .dockerignore lets it through."""
    copies = [each for stage in DOCKERFILE.stages.values() for each in stage.all("COPY") if "from" not in each.flags]
    sources = [source for each in copies for source in each.arguments[:-1]]
    assert {"slackbot", "pyproject.toml", "constraints.txt"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists() or is_ignored(source)] == []


def test_what_the_package_needs_is_copied() -> None:
    """The files that pyproject.toml names for the build: without one of them pip fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = {source for each in DOCKERFILE.stages["build"].all("COPY") for source in each.arguments[:-1]}
    assert {project["readme"], *project["license-files"], "pyproject.toml"} <= copied


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("slackbot/app.py", False),
        ("slackbot/sandbox/slack/page/index.html", False),
        ("slackbot/core/__pycache__/item.cpython-311.pyc", True),
        ("slackbot/__pycache__", True),
        (".git/config", True),
        (".env", True),
        (".devflow/sandbox.json", True),
        ("key.pem", True),
        ("tests/conftest.py", True),
    ],
)
def test_only_the_project_itself_reaches_the_builder(path: str, ignored: bool) -> None:
    """No state, no key, no history: everything is kept back but what is named."""
    assert is_ignored(PurePosixPath(path)) is ignored


def test_what_is_copied_between_stages_comes_from_an_earlier_one() -> None:
    """A stage copies from one that is built before it."""
    built: list[str] = []
    for stage in DOCKERFILE.stages.values():
        assert {each.flags["from"] for each in stage.all("COPY") if "from" in each.flags} <= set(built)
        built.append(stage.name)


@pytest.mark.parametrize("image", IMAGES)
def test_images_run_as_nobody_special_and_end_on_sigterm(image: str) -> None:
    """The user `devflow`, 10001, and the console script as the process that gets the signal."""
    user, entrypoint = DOCKERFILE.last(image, "USER"), DOCKERFILE.last(image, "ENTRYPOINT")
    signal, command = DOCKERFILE.last(image, "STOPSIGNAL"), DOCKERFILE.last(image, "CMD")
    assert user is not None
    assert entrypoint is not None
    assert signal is not None
    assert command is not None
    assert (user.text, entrypoint.exec_form, signal.text) == ("devflow", ["devflow"], "SIGTERM")
    assert command.exec_form == [{"bot": "run", "worker": "worker"}[image]]
    steps = " ".join(each.text for stage in DOCKERFILE.lineage(image) for each in stage.all("RUN"))
    assert "useradd --uid 10001 --gid 10001" in steps


def test_the_worker_has_a_user_for_the_agent_and_what_agents_need() -> None:
    """A second user, git, Node.js, and room for the editor on PATH."""
    stage = DOCKERFILE.stages["worker"]
    steps = " ".join(each.text for each in stage.all("RUN"))
    assert "useradd --uid 10002 --gid 10002" in steps
    assert re.search(r"\bgit\b", steps)
    assert "/usr/local/bin/node" in " ".join(each.text for each in stage.all("COPY"))
    path = DOCKERFILE.last("worker", "ENV")
    assert path is not None
    assert {"/opt/devflow/bin", "/opt/agents/bin", "/opt/code-server/bin", "/usr/sbin"} <= set(
        path.text.removeprefix("PATH=").split(":")
    )


@pytest.mark.parametrize("image", IMAGES)
def test_final_images_hold_no_compiler_and_no_installer(image: str) -> None:
    """Packages are built and installed in a stage of their own; the venv comes without pip."""
    steps = " ".join(each.text for stage in DOCKERFILE.lineage(image) for each in stage.all("RUN"))
    assert not re.search(r"build-essential|\bgcc\b|\bg\+\+|\bmake\b|-dev\b|pip install", steps)
    built = DOCKERFILE.stages["build"].all("RUN")[-1].text
    assert "pip uninstall --yes setuptools pip" in built


def test_python_packages_are_the_pinned_ones() -> None:
    """Every install of packages from outside is bound to constraints.txt, or to a version on its line."""
    installs = [each.text for each in DOCKERFILE.stages["build"].all("RUN") if "pip install" in each.text]
    assert len(installs) == 2
    assert "--constraint constraints.txt" in installs[0]
    assert re.search(r"setuptools==[\d.]+", installs[0])
    assert "--no-deps --no-build-isolation ." in installs[1]


def test_the_agents_are_those_that_are_tested() -> None:
    """One list of versions: the image has what `make agents` installs, from the same lock and by the same script."""
    stage = DOCKERFILE.stages["agents"]
    copied = {source for each in stage.all("COPY") for source in each.arguments[:-1]}
    assert copied == {"agents", "tools/install_agents.sh"}
    steps = " ".join(each.text for each in stage.all("RUN"))
    assert "INTO=/opt/agents sh tools/install_agents.sh ${AGENTS}" in steps
    assert "npm install" not in steps
    wanted = json.loads((ROOT / "agents" / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    locked = json.loads((ROOT / "agents" / "package-lock.json").read_text())
    assert locked["packages"][""]["dependencies"] == wanted
    script = (ROOT / "tools" / "install_agents.sh").read_text()
    assert set(re.findall(r'^  (\w+): "(\S+)",$', script, re.MULTILINE)) == set(zip(PROVIDERS_OF, wanted, strict=True))


def test_nothing_is_fetched_by_address_and_nothing_secret_is_in_it() -> None:
    """No ADD (the reader refuses it), no curl or wget of a file, no variable that looks like a key."""
    text = (ROOT / "Dockerfile").read_text()
    steps = " ".join(each.text for stage in DOCKERFILE.stages.values() for each in stage.all("RUN"))
    assert not re.search(r"https?://", steps)
    assert not re.search(r"xox[bp]-|xapp-|ghs_|PRIVATE KEY|AKIA|TOKEN=|SECRET=|PASSWORD=", text)


def test_the_reader_refuses_what_it_does_not_know() -> None:
    """An instruction that no test looks at does not slip in."""
    with pytest.raises(ValueError, match="ADD"):
        read("FROM scratch AS x\nADD https://example.com/x /x\n")
