"""The bot's policies against the calls its code makes, both ways: nothing is missing, nothing is to spare.

The code is read, not run: every method of a boto3 client that the adapters name is a call.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.deploy.dockerfile import ROOT
from tests.deploy.template import as_list, entries, load, parts_of, statements

TEMPLATE = load()
SLACKBOT = ROOT / "slackbot"
SERVICES = {"dynamodb": "dynamodb*.py", "ecs": "ecs*.py"}

SIGNED = {"models_bedrock.py": {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:CountTokens"}}
"""Modules that call nothing themselves but sign what agents ask for, and what that is."""

NOT_THE_BOT = {
    "create_table": "`devflow create-table` is run by an administrator, where no stack makes the table",
    "_add_index": "the same",
    "_switch_on_ttl": "the same",
    "_switch_on_recovery": "the same",
}
"""Functions whose calls the bot's role need not allow, and why. `devflow check` may be run with the bot's role."""

ALSO_NEEDED = {"ecs:RunTask": {"ecs:TagResource", "iam:PassRole"}}
"""RunTask with tags needs TagResource, and hands the worker's roles over.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html"""


def calls_in(source: str, service: str) -> set[str]:
    """The IAM actions of the client methods a module names, as attribute of a client or as text."""
    methods = methods_of(service)
    return {f"{service}:{methods[name]}" for name in _names(ast.parse(source)) if name in methods}


@functools.cache
def methods_of(service: str) -> dict[str, str]:
    """What boto3 calls the actions of a service: {"get_item": "GetItem", ...}."""
    client = boto3.session.Session().client(service, region_name="us-east-1")
    methods: dict[str, str] = client.meta.method_to_api_mapping
    client.close()
    return methods


def _names(tree: ast.Module) -> Iterator[str]:
    for node in _walk(tree):
        if isinstance(node, ast.Attribute) and _is_client(node.value):
            yield node.attr
        elif isinstance(node, ast.Dict):
            # Methods that are looked up by name: {"GetItem": "get_item", ...}.
            yield from (value.value for value in node.values if _is_text(value))  # type: ignore[attr-defined]


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those of functions that are `NOT_THE_BOT`."""
    if isinstance(node, ast.FunctionDef) and node.name in NOT_THE_BOT:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def _is_client(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.strip("_").endswith("client")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def modules_of(service: str) -> list[Path]:
    return sorted((SLACKBOT / "adapters").glob(SERVICES[service]))


def called() -> set[str]:
    """What the bot's own code calls, and what those calls need besides."""
    actions: set[str] = set().union(*SIGNED.values())
    for service in SERVICES:
        for path in modules_of(service):
            actions |= calls_in(path.read_text(), service)
    return actions.union(*(ALSO_NEEDED.get(action, set()) for action in actions))


def allowed(role: str) -> set[str]:
    return {action for each in statements(TEMPLATE, role) for action in as_list(each["Action"])}


def test_the_bot_may_do_what_its_code_calls() -> None:
    """A call that no policy allows would fail on AWS only."""
    assert called() - allowed("BotTaskRole") == set()


def test_the_bot_may_do_nothing_that_its_code_does_not_call() -> None:
    """A permission that nothing uses is one too many."""
    assert allowed("BotTaskRole") - called() == set()


def test_the_reader_sees_calls() -> None:
    """Calls on a client, on one of self, and by name are found; other methods of the same name are not."""
    source = "self._client.run_task()\nclient.stop_task\nstore.scan()\n{'ListTasks': 'list_tasks'}\n_client.meta"
    assert calls_in(source, "ecs") == {"ecs:RunTask", "ecs:StopTask", "ecs:ListTasks"}
    assert {"dynamodb:GetItem", "dynamodb:PutItem", "ecs:RunTask", "ecs:DescribeTasks"} <= called()


def test_boto3_is_called_nowhere_else() -> None:
    """A module outside the adapters of DynamoDB and ECS that made a client of its own would not be seen here."""
    elsewhere = [
        path.relative_to(ROOT).as_posix()
        for path in SLACKBOT.rglob("*.py")
        if not any(path in modules_of(service) for service in SERVICES)
        and path.name not in SIGNED
        and _imports_boto3(path)
    ]
    assert elsewhere == []


def test_what_is_left_out_is_there_and_run_by_administrators_alone() -> None:
    """Each function named exists, and only the command `create-table` gets to them."""
    tree = ast.parse((SLACKBOT / "adapters" / "dynamodb_create.py").read_text())
    assert set(NOT_THE_BOT) <= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    users = [path.name for path in SLACKBOT.rglob("*.py") if re.search(r"import .*\bcreate_table\b", path.read_text())]
    assert users == ["__main__.py"]


def _imports_boto3(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.split(".")[0] == "boto3" for name in names):
            return True
    return False


@pytest.mark.parametrize("role", ["BotTaskRole", "BotExecutionRole", "WorkerExecutionRole"])
def test_no_statement_is_wider_than_it_must_be(role: str) -> None:
    """No action with a star, and `*` as a resource only where AWS takes no other (or a condition binds it)."""
    takes_no_resource = {"ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition"}
    for statement in statements(TEMPLATE, role):
        actions = as_list(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if "*" in as_list(statement["Resource"]):
            assert set(actions) <= takes_no_resource or "ecs:cluster" in str(statement["Condition"])


def test_launches_are_bound_to_cluster_family_and_roles() -> None:
    """RunTask on this cluster and family alone, handing over the worker's two roles alone, to ECS tasks alone."""
    by_action = {action: each for each in statements(TEMPLATE, "BotTaskRole") for action in as_list(each["Action"])}
    launch, roles = by_action["ecs:RunTask"], by_action["iam:PassRole"]
    assert launch["Condition"] == {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": ["Cluster", "Arn"]}}}
    assert all("task-definition/${WorkerFamily}" in each["Fn::Sub"] for each in launch["Resource"])
    assert roles["Resource"] == [
        {"Fn::GetAtt": ["WorkerTaskRole", "Arn"]},
        {"Fn::GetAtt": ["WorkerExecutionRole", "Arn"]},
    ]
    assert roles["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert by_action["ecs:TagResource"]["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}


def test_execution_roles_do_what_ecs_needs_and_no_more() -> None:
    """Images and log streams for both; secrets for the bot alone, and exactly those its container is given."""
    images = {
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    }
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert allowed("WorkerExecutionRole") == images | logs
    assert allowed("BotExecutionRole") == images | logs | {"secretsmanager:GetSecretValue", "kms:Decrypt"}
    (read,) = (
        each for each in statements(TEMPLATE, "BotExecutionRole") if each["Action"] == "secretsmanager:GetSecretValue"
    )
    containers: list[dict[str, Any]] = TEMPLATE["Resources"]["BotTaskDefinition"]["Properties"]["ContainerDefinitions"]
    given = [entry["ValueFrom"] for inside in containers for entry in entries(inside.get("Secrets"))]
    assert sorted(map(str, entries(read["Resource"]))) == sorted(str(one) for value in given for one in entries(value))


def test_roles_can_be_taken_by_tasks_of_this_account_alone() -> None:
    """Each role trusts ECS tasks, bound to the account."""
    roles = [each for each in TEMPLATE["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    assert len(roles) == 4
    for role in roles:
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert {"Ref": "AWS::AccountId"} in parts_of(trust["Condition"])
