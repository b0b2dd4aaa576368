"""docs/deploy.md, security.md and scale.md say what code and template have."""

from __future__ import annotations

import re

import pytest

from slackbot.adapters.socket_mode import SocketKeeper
from slackbot.core.access import MATRIX, Role
from slackbot.core.item import BUDGET_BYTES
from tests.deploy.dockerfile import ROOT
from tests.deploy.template import as_list, load, statements

DOCS = ROOT / "docs"
DEPLOY, SECURITY, SCALE = ((DOCS / f"{name}.md").read_text() for name in ("deploy", "security", "scale"))
TEMPLATE = load()


def test_the_matrix_of_rights_is_the_code_s() -> None:
    """docs/security.md draws core/access.py as it is."""
    rows = [f"| action | {' | '.join(Role)} |", "|---|" + "---|" * len(Role)]
    for action, roles in MATRIX.items():
        rows.append(f"| {action} | " + " | ".join("yes" if role in roles else "no" for role in Role) + " |")
    drawn = SECURITY.split("<!-- matrix: begin -->\n")[1].split("\n<!-- matrix: end -->")[0]
    assert drawn == "\n".join(rows)


def test_every_permission_of_the_bot_has_its_reason() -> None:
    """docs/deploy.md's table of permissions lists what the role allows, and nothing else."""
    listed = set(
        re.findall(r"\b(?:bedrock|dynamodb|ecs|iam):[A-Z]\w+", DEPLOY.split("## What each permission is for")[1])
    )
    allowed = {action for each in statements(TEMPLATE, "BotTaskRole") for action in as_list(each["Action"])}
    assert listed == allowed


def test_what_must_be_given_stands_in_the_command() -> None:
    """Every parameter without a default is in the command of docs/deploy.md, and every one named there exists."""
    command = DEPLOY.split("## 7. The stack")[1].split("\n\n")[1]
    given = set(re.findall(r"^\s+(\w+)=", command, re.MULTILINE))
    needed = {name for name, each in TEMPLATE["Parameters"].items() if "Default" not in each}
    assert needed <= given <= set(TEMPLATE["Parameters"])
    assert {"SlackBotTokenArn", "SlackAppTokenArn", "GitHubAppPrivateKeyArn"} <= given


def test_what_the_docs_name_of_the_template_is_there() -> None:
    """Outputs asked for and parameters mentioned in backquotes exist."""
    assert set(re.findall(r"OutputKey=='(\w+)'", DEPLOY)) <= set(TEMPLATE["Outputs"])
    named = re.findall(r"`((?:[A-Z][a-z]+){2,}\d?)(?:=[^`]*)?`", DEPLOY + SECURITY + SCALE)
    others = {"Rules", "AssertDescription", "GitHub"}
    assert {name for name in named if name not in others} <= set(TEMPLATE["Parameters"])


def test_figures_of_the_code_are_the_code_s() -> None:
    """Sockets for each bot, and where old turns are trimmed."""
    connections = (SocketKeeper.__init__.__kwdefaults__ or {})["connections"]
    assert f"a bot holds {connections}" in SCALE
    assert f"trims old turns at {BUDGET_BYTES // 1024} KB" in SCALE


@pytest.mark.parametrize("name", ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_links_lead_somewhere(name: str) -> None:
    """Each link to a file of the project, and to a heading of one, has its target."""
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#\s]+\.md)?(#[^)\s]*)?\)", page.read_text()):
        path, anchor = target
        to = (page.parent / path) if path else page
        assert to.exists(), f"{name} -> {path}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", to.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{name} -> {path}{anchor}"
