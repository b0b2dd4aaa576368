"""`devflow check`: a line for each part, and for each way in which it can be wrong, against what stands in for it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from slackbot import __main__
from slackbot.adapters.dynamodb_create import create_table
from slackbot.adapters.github import GithubCodeHost
from slackbot.adapters.github_app import AppWebhook, GithubApp, GithubInstallation
from slackbot.check import Finding, as_json, check_setup, render, run_probes
from slackbot.check_probes import APP_PERMISSIONS, BOT_SCOPES
from slackbot.config import load_settings
from slackbot.core.errors import PermanentError
from slackbot.gateway.webhooks import EVENTS, PATH
from tests.fakes import scripted_dynamodb as dynamo
from tests.fakes.ecs_endpoint import REGION, EcsEndpoint
from tests.fakes.moto_dynamodb import new_table_name
from tests.wire.bot_world import SECRET, BotWorld, bot_world

AWS = {"DEVFLOW_TASKS": "ecs", "DEVFLOW_GATEWAY_URL": "http://bot.internal:8402", "DEVFLOW_ECS_CLUSTER": "devflow",
       "DEVFLOW_ECS_TASK_DEFINITION": "devflow-worker", "DEVFLOW_ECS_SUBNETS": "subnet-1"}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BotWorld]:
    """The stand-ins, whose Slack names scopes as Slack does; no bot."""
    async with bot_world(tmp_path_factory.mktemp("check"), scopes=sorted(BOT_SCOPES)) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def lines(world: BotWorld, part: str | None = None, **changed: str) -> list[str]:
    """What `devflow check` shows, of all parts or of one."""
    found = await check_setup(load_settings({**world.environment, **changed}), seconds=10)
    return render(finding for finding in found if part in (None, finding.part))


async def test_all_is_well(world: BotWorld, tmp_path: Path) -> None:
    """One line for each thing, every one begins with ok."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[repository]]\nmatch = "demo/*"\ncpu = "1024"\nlimits = {idle_seconds = 60}\n')
    shown = await lines(world, DEVFLOW_POLICY=str(policy))
    assert [line.split(":")[0] for line in shown] == [
        "ok  Slack",
        "ok  Slack",
        "ok  Socket Mode",
        "ok  store",
        "ok  tasks",
        "ok  GitHub",
        "ok  GitHub",
        "ok  gateway",
        "ok  agent",
        "ok  models",
        "ok  public",
        "ok  webhook",
        "ok  editor",
        "ok  policy",
    ]
    assert "bot token of DevFlow sandbox (T0SANDBOX)" in shown[0]
    assert "scopes as in manifest.yml" in shown[1]
    assert "installed on demo: " in shown[6]
    assert shown[-1] == "ok  policy: rule 1, demo/* (line 1): cpu 1024; idle_seconds 60"


# ------------------------------------------------------------------------------------------- Slack


async def test_a_wrong_bot_token_is_named_and_hides_nothing_else(world: BotWorld) -> None:
    """Slack's own word for it, the setting, and no token."""
    shown = await lines(world, SLACK_BOT_TOKEN="xoxb-not-the-one-there-is")
    (line,) = [line for line in shown if line.startswith("!!")]
    assert line.startswith("!!  Slack: Slack refused auth.test: the token is not valid (invalid_auth). — Check SLACK_")
    assert "not-the-one" not in line


async def test_a_wrong_app_token_is_named(world: BotWorld) -> None:
    """A bot token in its place, say."""
    (line,) = await lines(world, "Socket Mode", SLACK_APP_TOKEN="xoxb-of-a-test")
    assert line.startswith("!!  Socket Mode: Slack refused SLACK_APP_TOKEN (not_allowed_token_type). — It is the app-")


async def test_missing_scopes_are_named(tmp_path: Path) -> None:
    """Those that lack, with what to do; those that nothing uses do no harm."""
    scopes = sorted(BOT_SCOPES - {"files:read", "users:read"} | {"pins:read"})
    async with bot_world(tmp_path, scopes=scopes) as other:
        (_, line) = await lines(other, "Slack")
        assert line.startswith("!!  Slack: the token lacks the scopes files:read, users:read — Add what is missing")
    async with bot_world(tmp_path / "more", scopes=sorted(BOT_SCOPES | {"pins:read"})) as other:
        (_, line) = await lines(other, "Slack")
        assert line.startswith("ok  Slack: scopes as in manifest.yml; nothing uses pins:read")


# ------------------------------------------------------------------------------------------- GitHub


async def test_a_foreign_key_is_not_accepted(world: BotWorld) -> None:
    """A key that is well-formed, of another App."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    (line,) = await lines(world, "GitHub", GITHUB_APP_PRIVATE_KEY=pem)
    assert line.startswith("!!  GitHub: GitHub does not accept DevFlow's App credentials")
    assert "GITHUB_APP_PRIVATE_KEY" in line


async def test_what_is_no_key_is_named(world: BotWorld) -> None:
    """PEM around nothing."""
    pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"
    (line,) = await lines(world, "GitHub", GITHUB_APP_PRIVATE_KEY=pem)
    assert line.startswith("!!  GitHub: GITHUB_APP_PRIVATE_KEY is not an RSA private key")
    assert "AAAA" not in line


@pytest.mark.parametrize(
    ("permissions", "installations", "expected"),
    [
        (
            {**APP_PERMISSIONS, "contents": "read", "pull_requests": "read"},
            [],
            "!!  GitHub: the App Bot lacks contents: write, pull_requests",
        ),
        (APP_PERMISSIONS, [], "!!  GitHub: the App Bot is installed nowhere — Install it: https://x/installations/new"),
        (
            APP_PERMISSIONS,
            [("acme", {**APP_PERMISSIONS, "pull_requests": "read"}, False)],
            "!!  GitHub: the installation on acme lacks pull_requests: write — An owner of acme must accept",
        ),
        (APP_PERMISSIONS, [("acme", APP_PERMISSIONS, True)], "!!  GitHub: the installation on acme is suspended"),
    ],
)
async def test_permissions_and_installations_that_lack_are_named(
    world: BotWorld,
    monkeypatch: pytest.MonkeyPatch,
    permissions: dict[str, str],
    installations: list[tuple[str, dict[str, str], bool]],
    expected: str,
) -> None:
    """The App's own, and what each account has accepted."""

    async def told(self: GithubCodeHost) -> GithubApp:
        found = tuple(GithubInstallation(*installation) for installation in installations)
        return GithubApp("Bot", "https://x", permissions, found)

    monkeypatch.setattr(GithubCodeHost, "describe_app", told)
    assert any(line.startswith(expected) for line in await lines(world, "GitHub"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            AppWebhook(None, "json", EVENTS),
            "!!  webhook: the App has no webhook — Make it active in ",
        ),
        (AppWebhook("https://x/other", "json", EVENTS), "!!  webhook: the App sends its events to https://x/other — "),
        (AppWebhook(f"https://x{PATH}", "form", EVENTS), "!!  webhook: the App sends its events as form — Choose app"),
        (
            AppWebhook(f"https://x{PATH}", "json", EVENTS - {"status"}),
            "!!  webhook: the App is not subscribed to sta",
        ),
        (AppWebhook(f"https://x{PATH}", "json", EVENTS), f"ok  webhook: the App sends its events to https://x{PATH}"),
    ],
)
async def test_where_github_sends_its_events(
    world: BotWorld, monkeypatch: pytest.MonkeyPatch, told: AppWebhook, expected: str
) -> None:
    """Each way in which nothing would come is named."""

    async def describe(self: GithubCodeHost) -> AppWebhook:
        return told

    monkeypatch.setattr(GithubCodeHost, "describe_webhook", describe)
    given = {"GITHUB_WEBHOOK_SECRET": "w" * 32, "DEVFLOW_PUBLIC_LISTEN": "127.0.0.1:0"}
    (line,) = await lines(world, "webhook", **given)
    assert line.startswith(expected)


# ------------------------------------------------------------------------------------------- store


async def test_a_file_that_cannot_be_a_store_is_named(world: BotWorld, tmp_path: Path) -> None:
    """A directory in its place."""
    (line,) = await lines(world, "store", DEVFLOW_STORE=f"sqlite:{tmp_path}")
    assert line.startswith(f"!!  store: The session store {tmp_path} is not a file.")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dynamo.ScriptedDynamo]:
    """DynamoDB as the environment names it."""
    with dynamo.scripted_dynamodb() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint.url)
        monkeypatch.setenv("AWS_REGION", dynamo.REGION)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        yield endpoint


async def test_a_table_is_there_or_not(world: BotWorld, aws: dynamo.ScriptedDynamo) -> None:
    """None; one without its index; a good one, read and written with nothing changed."""
    table = new_table_name()
    settings = {"DEVFLOW_STORE": "dynamodb", "DEVFLOW_TABLE": table}
    (line,) = await lines(world, "store", **settings)
    assert line == (
        f"!!  store: there is no table {table} in us-east-1 — "
        "Run `devflow create-table`, or correct DEVFLOW_TABLE or AWS_REGION"
    )
    client = aws.client()
    key = [{"AttributeName": "session_id", "KeyType": "HASH"}]
    kinds = [{"AttributeName": "session_id", "AttributeType": "S"}]
    client.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=key, AttributeDefinitions=kinds)  # type: ignore[arg-type]
    shown = await lines(world, "store", **settings)
    assert f"!!  store: table {table}: it has no index user_id-created_at-index — Run `devflow create-table`." in shown
    assert f"!!  store: table {table}: its TTL is off: sessions stay in it for ever — Run `devflow create-" in shown[1]
    create_table(client, table)
    shown = await lines(world, "store", **settings)
    assert [line[:2] for line in shown] == ["ok", "ok"], shown
    assert client.scan(TableName=table)["Items"] == []
    client.close()


async def test_a_missing_permission_is_named(world: BotWorld, aws: dynamo.ScriptedDynamo) -> None:
    """The action, and where it is allowed."""
    table = new_table_name()
    client = aws.client()
    create_table(client, table)
    client.close()
    aws.script = [dynamo.do] * 5 + [dynamo.refuse("AccessDeniedException", "not authorized to perform it")]
    (good, line) = await lines(world, "store", DEVFLOW_STORE="dynamodb", DEVFLOW_TABLE=table)
    assert good.startswith("ok  store: table")
    assert aws.requests[-1] == "PutItem"
    assert "AWS does not allow the bot dynamodb:PutItem" in line
    assert line.startswith("!!  store:")
    assert "docs/deploy.md" in line


# --------------------------------------------------------------------------------------------- ECS


@pytest_asyncio.fixture(loop_scope="module")
async def ecs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EcsEndpoint]:
    """ECS as the environment names it."""
    endpoint = EcsEndpoint()
    await endpoint.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", endpoint.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    yield endpoint
    await endpoint.stop()


async def test_a_good_cluster(world: BotWorld, ecs: EcsEndpoint) -> None:
    """Cluster, permission, task definition, network; the agent and the gateway as far as they can be known here."""
    shown = await lines(world, **AWS, DEVFLOW_GATEWAY_LISTEN="0.0.0.0:0")
    assert [line for line in shown if line.startswith("!!")] == []
    tasks = [line for line in shown if line.startswith("ok  tasks")]
    assert "ECS cluster devflow is active" in tasks[0]
    assert "can be listed" in tasks[1]
    assert "devflow-worker:3 (DEVFLOW_ECS_TASK_DEFINITION) has the container worker and a log" in tasks[2]
    assert "subnet-1 with the network's default security group" in tasks[3]
    assert any("shell (that it is installed shows only inside the task)" in line for line in shown)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"DEVFLOW_ECS_CLUSTER": "other"}, "there is no ECS cluster other in eu-central-1 — Check DEVFLOW_ECS_CLUSTER"),
        ({"DEVFLOW_ECS_TASK_DEFINITION": "gone"}, "Check DEVFLOW_ECS_TASK_DEFINITION"),
        ({"DEVFLOW_ECS_CONTAINER": "app"}, "has no container app (it has: proxy, worker) — Set DEVFLOW_ECS_CONTAINER"),
        ({"DEVFLOW_ECS_CAPACITY_PROVIDER": "FARGATE_SPOT"}, "has no capacity provider FARGATE_SPOT (it has: none)"),
    ],
)
async def test_each_wrong_setting_of_ecs_is_named(
    world: BotWorld, ecs: EcsEndpoint, settings: dict[str, str], expected: str
) -> None:
    """And the other lines of ECS are there all the same."""
    shown = await lines(world, "tasks", **{**AWS, **settings})
    (wrong,) = [line for line in shown if line.startswith("!!")]
    assert expected in wrong
    assert len(shown) >= 3


async def test_what_aws_forbids_and_what_has_no_log_is_named(world: BotWorld, ecs: EcsEndpoint, tmp_path: Path) -> None:
    """ListTasks; a worker whose log nobody will find; a rule's family that is not there."""
    ecs.log_options = None
    ecs.fail_next("ListTasks", "AccessDeniedException", "User is not authorized to perform: ecs:ListTasks")
    policy = tmp_path / "policy.toml"
    policy.write_text('[[repository]]\nmatch = "acme/*"\ntask_definition = "big"\n')
    shown = await lines(world, "tasks", **AWS, DEVFLOW_POLICY=str(policy))
    assert [line[:2] for line in shown] == ["ok", "!!", "!!", "!!", "ok"]
    assert "ecs:ListTasks" in shown[1]
    assert "awslogs" in shown[2]
    assert "Unable to describe task definition" in shown[3]


async def test_a_gateway_that_no_task_reaches_is_named(world: BotWorld, ecs: EcsEndpoint) -> None:
    """Loopback is of no use to tasks on other machines."""
    shown = await lines(world, "gateway", **AWS)
    assert shown[1].startswith(
        "!!  gateway: it would listen on 127.0.0.1:0 alone, which no task reaches — Set DEVFLOW_"
    )


# -------------------------------------------------------------------------------- what is on this machine


async def test_a_port_that_something_else_has_is_named(world: BotWorld) -> None:
    """It is in use, and what answers there is no DevFlow."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
        (line,) = await lines(world, "gateway", DEVFLOW_GATEWAY_LISTEN=f"127.0.0.1:{port}")
        other.close()
    assert line.startswith(
        f"!!  gateway: 127.0.0.1:{port} is in use, and no DevFlow answers at http://127.0.0.1:{port}"
    )
    assert "name another port" in line


async def test_a_bot_that_runs_has_its_port(tmp_path: Path) -> None:
    """Then the address being taken is right."""
    async with bot_world(tmp_path) as running:
        await running.start_bot()
        port = running.gateway_url.rpartition(":")[2]
        (line,) = await lines(running, "gateway", DEVFLOW_GATEWAY_LISTEN=f"127.0.0.1:{port}")
        assert line == f"ok  gateway: DevFlow runs and answers at {running.gateway_url}"


async def test_a_state_directory_that_cannot_be_made_is_named(world: BotWorld, tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "state").write_text("")
    (line,) = await lines(world, "tasks", DEVFLOW_STATE_DIR=str(tmp_path / "state"))
    assert line.startswith("!!  tasks: Local tasks: Not a directory")


async def test_an_agent_that_is_not_installed_is_named(world: BotWorld, tmp_path: Path) -> None:
    """That of the settings and that of a rule."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[repository]]\nmatch = "acme/*"\nagent = "no-such-agent --acp"\n')
    first, second = await lines(world, "agent", DEVFLOW_POLICY=str(policy))
    assert first.startswith("ok  agent: shell is installed")
    assert second.startswith("!!  agent: The agent 'no-such-agent --acp' is not installed where the task runs")


async def test_an_agent_that_needs_a_provider_is_named(world: BotWorld) -> None:
    """A worker holds no key, so it would fail in the thread; what is not served is told as well."""
    (line,) = await lines(world, "models", DEVFLOW_AGENT="claude")
    assert line.startswith("!!  models: claude has no model provider — Set ANTHROPIC_API_KEY or")
    (line,) = await lines(world, "models")
    assert line == "ok  models: no key of a provider is set, and no agent named is known to need one"
    (public,), (editor,) = await lines(world, "public"), await lines(world, "editor")
    assert (public[:10], editor[:10]) == ("ok  public", "ok  editor")


# ---------------------------------------------------------------------------------------- the frame


async def test_one_outage_hides_no_other_part() -> None:
    """One raises, one breaks, one hangs, one is well: four parts, in their order, in bounded time."""

    async def refused() -> list[Finding]:
        raise PermanentError("It said no.", "Ask again")

    async def broken() -> list[Finding]:
        raise KeyError("secret")

    async def hanging() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def well() -> list[Finding]:
        return [Finding("d", True, "is well")]

    found = await run_probes({"a": refused, "b": broken, "c": hanging, "d": well}, seconds=0.2)
    assert render(found) == [
        "!!  a: It said no. — Ask again",
        "!!  b: it could not be asked (KeyError) — This is a fault of DevFlow; please report it.",
        "!!  c: it did not answer within 0.2 s — Look at its status page and at the network, then check again.",
        "ok  d: is well",
    ]


async def test_no_system_at_all(world: BotWorld, tmp_path: Path) -> None:
    """Nothing answers anywhere: each part says so for itself."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    shown = await lines(world, SLACK_API_URL=f"{url}/api/", GITHUB_API_URL=f"{url}/api/v3")
    assert [line.split(":")[0] for line in shown if line.startswith("!!")] == [
        "!!  Slack",
        "!!  Socket Mode",
        "!!  GitHub",
    ]


async def test_json_says_the_same() -> None:
    """A list of part, ok, summary, remedy."""
    assert json.loads(as_json([Finding("store", False, "gone", "make it")])) == [
        {"part": "store", "ok": False, "summary": "gone", "remedy": "make it"}
    ]


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: Any, *options: str) -> Any:
    """The command line as `devflow check` runs it: (status, stdout)."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status = __main__.main(["check", *options])
    return status, capsys.readouterr().out


async def test_settings_that_are_wrong_are_all_told_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, a line each, or as JSON."""
    given = {"DEVFLOW_SECRET": "short", "DEVFLOW_TASKS": "local"}
    status, out = run(monkeypatch, capsys, given)
    assert status == 2
    assert "!!  settings: DEVFLOW_SECRET: it must have at least 32 characters — docs/settings.md" in out
    assert "!!  settings: SLACK_BOT_TOKEN is not set" in out
    status, out = run(monkeypatch, capsys, given, "--json")
    assert status == 2
    assert {finding["part"] for finding in json.loads(out)} == {"settings"}
    assert run(monkeypatch, capsys, given, "--fix")[0] == 2


async def test_the_exit_status_says_whether_anything_is_wrong(
    world: BotWorld, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """0 and 1, by the command line itself; no secret on any stream."""
    for changed, expected in (({}, 0), ({"SLACK_APP_TOKEN": "xapp-another-one"}, 1)):
        environment = {**world.environment, **changed}
        status, out = await asyncio.to_thread(run, monkeypatch, capfd, environment, "--json", "--sessions")
        found = json.loads(out)
        assert (status, all(finding["ok"] for finding in found)) == (expected, expected == 0)
        assert found[-1]["part"] == "sessions"
        for secret in (SECRET, "xoxb-of-a-test", "xapp-another-one", "PRIVATE KEY"):
            assert secret not in out
