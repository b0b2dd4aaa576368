"""The ECS adapter where the wire, the cluster or the settings are bad, and what exactly it asks of ECS."""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from slackbot.adapters.ecs_client import ecs_client, find_cluster_arn
from slackbot.adapters.ecs_shapes import deployment_name
from slackbot.app_parts import build_tasks
from slackbot.config import load_settings
from slackbot.core.errors import ConfigError, DevflowError, PermanentError, TemporaryError
from slackbot.core.ports import TaskRequest
from tests.fakes.ecs_endpoint import ACCOUNT, REGION, EcsEndpoint, Fault

SESSION = "11111111-2222-4333-8444-555555555555"
TOKEN = f"{SESSION}.1.a-worker-token-that-nobody-may-read"


def launch(number: int = 1, **environment: str) -> TaskRequest:
    """Launch `number` of one session."""
    given = {"DEVFLOW_SESSION_ID": SESSION, "DEVFLOW_WORKER_TOKEN": TOKEN, **environment}
    return TaskRequest(SESSION, number, f"{SESSION}-{number}", given)


def copies(endpoint: EcsEndpoint, task_arn: str, count: int) -> list[str]:
    """So many more tasks like this one; their arns."""
    arns = []
    for _ in range(count):
        task = copy.deepcopy(endpoint.tasks[task_arn])
        task["taskArn"] = f"{task_arn.rsplit('/', 1)[0]}/{uuid.uuid4().hex}"
        endpoint.tasks[task["taskArn"]] = task
        arns.append(task["taskArn"])
    return arns


@pytest.fixture
async def endpoint() -> AsyncIterator[EcsEndpoint]:
    endpoint = EcsEndpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


# ---------------------------------------------------------------------------------------------- RunTask


async def test_what_run_task_is_asked(endpoint: EcsEndpoint) -> None:
    """The family, never a revision; token, tags and startedBy; the container's environment and nothing else of it."""
    tasks = endpoint.open()
    await tasks.run_task(launch(7))
    await tasks.close()
    assert endpoint.called("RunTask") == [
        {
            "cluster": "devflow",
            "taskDefinition": "devflow-worker",
            "count": 1,
            "clientToken": f"{SESSION}-7",
            "startedBy": "devflow-0123456789abcdef",
            "launchType": "FARGATE",
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": ["subnet-1", "subnet-2"],
                    "securityGroups": ["sg-1"],
                    "assignPublicIp": "DISABLED",
                }
            },
            "overrides": {
                "containerOverrides": [
                    {
                        "name": "worker",
                        "environment": [
                            {"name": "DEVFLOW_SESSION_ID", "value": SESSION},
                            {"name": "DEVFLOW_WORKER_TOKEN", "value": TOKEN},
                        ],
                    }
                ]
            },
            "tags": [
                {"key": "devflow:session_id", "value": SESSION},
                {"key": "devflow:launch", "value": "7"},
            ],
        }
    ]


async def test_spot_is_asked_for_by_its_capacity_provider(endpoint: EcsEndpoint) -> None:
    """Then no launch type is named, which ECS would refuse; a public address and no group when so set."""
    tasks = endpoint.open(capacity_provider="FARGATE_SPOT", assign_public_ip=True, security_groups=[])
    await tasks.run_task(launch())
    await tasks.close()
    (asked,) = endpoint.called("RunTask")
    assert "launchType" not in asked
    assert asked["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    network = asked["networkConfiguration"]["awsvpcConfiguration"]
    assert network == {"subnets": ["subnet-1", "subnet-2"], "assignPublicIp": "ENABLED"}


async def test_a_repository_may_have_a_task_of_its_own(endpoint: EcsEndpoint) -> None:
    """Family, CPU and memory of the policy take the place of the deployment's; without any, none is sent."""
    endpoint.families["devflow-large"] = 1
    tasks = endpoint.open()
    own = TaskRequest(SESSION, 1, f"{SESSION}-1", {}, task_definition="devflow-large", cpu="2048", memory="8192")
    task = await tasks.run_task(own)
    await tasks.close()
    (asked,) = endpoint.called("RunTask")
    assert asked["taskDefinition"] == "devflow-large"
    assert (asked["overrides"]["cpu"], asked["overrides"]["memory"]) == ("2048", "8192")
    assert (task.task_definition_arn or "").endswith(":task-definition/devflow-large:1")


async def test_a_repeated_launch_is_asked_for_in_the_same_words(endpoint: EcsEndpoint) -> None:
    """Also with the environment in another order, or ECS would call it another request."""
    tasks, other = endpoint.open(), endpoint.open()
    asked = launch(COLOUR="red")
    first = await tasks.run_task(asked)
    turned = dict(reversed(asked.environment.items()))
    again = await other.run_task(TaskRequest(SESSION, 1, asked.client_token, turned))
    assert again.task_arn == first.task_arn
    assert endpoint.called("RunTask")[0] == endpoint.called("RunTask")[1]
    await tasks.close()
    await other.close()


async def test_a_launch_known_with_other_parameters_is_taken_over(endpoint: EcsEndpoint) -> None:
    """A bot of another version asked first, with other subnets: its task is the session's, none is started beside."""
    tasks, newer = endpoint.open(), endpoint.open(subnets=["subnet-9"])
    first = await tasks.run_task(launch())
    endpoint.advance(first.task_arn, "RUNNING")
    taken = await newer.run_task(launch())
    assert (taken.task_arn, taken.last_status) == (first.task_arn, "RUNNING")
    assert (taken.session_id, taken.launch) == (SESSION, 1)
    endpoint.hide(first.task_arn, looks=1)
    assert (await newer.run_task(launch())).last_status == "MISSING"
    assert len(endpoint.tasks) == 1
    await tasks.close()
    await newer.close()


async def test_a_conflict_that_names_no_task(endpoint: EcsEndpoint) -> None:
    """The task is found among ours by its tags; where there is none, a new launch is the way on."""
    tasks = endpoint.open()
    endpoint.fail_next("RunTask", "ConflictException", "The clientToken is in use.")
    with pytest.raises(PermanentError, match="names no task") as caught:
        await tasks.run_task(launch())
    assert "Retry" in caught.value.remedy
    first = await tasks.run_task(launch())
    endpoint.fail_next("RunTask", "ConflictException", "The clientToken is in use.", resourceIds=[])
    assert (await tasks.run_task(launch())).task_arn == first.task_arn
    await tasks.close()


@pytest.mark.parametrize(
    ("reason", "detail", "kind", "words"),
    [
        ("RESOURCE:MEMORY", None, TemporaryError, "no room"),
        ("RESOURCE:ENI", None, TemporaryError, "no room"),
        ("AGENT", None, TemporaryError, "no room"),
        ("Capacity is unavailable at this time. Please try again later", None, TemporaryError, "Capacity is unavail"),
        ("You've reached the limit on the number of vCPUs you can run concurrently", None, TemporaryError, "vCPUs"),
        ("EMPTY CAPACITY PROVIDER", None, TemporaryError, "no room"),
        ("ATTRIBUTE", "unable to place a task because ...", PermanentError, "ATTRIBUTE – unable to place"),
        ("INACTIVE", None, PermanentError, "INACTIVE"),
        ("MISSING", None, PermanentError, "MISSING"),
        (None, None, TemporaryError, "no reason"),
    ],
)
async def test_failures_in_an_answer_of_200(
    endpoint: EcsEndpoint, reason: str | None, detail: str | None, kind: type[DevflowError], words: str
) -> None:
    """No room passes; what the cluster can never do does not. Both say why."""
    failure = {name: value for name, value in (("reason", reason), ("detail", detail)) if value}
    endpoint.upset_next("RunTask", Fault(answer={"tasks": [], "failures": [failure] if failure else []}))
    tasks = endpoint.open()
    with pytest.raises(kind) as caught:
        await tasks.run_task(launch())
    assert words in caught.value.summary
    assert caught.value.remedy
    assert (await tasks.run_task(launch())).last_status == "PROVISIONING"
    await tasks.close()


@pytest.mark.parametrize(
    ("code", "status", "message", "kind", "words"),
    [
        ("ThrottlingException", 400, "Rate exceeded", TemporaryError, "slow down"),
        ("Throttling", 429, "Rate exceeded", TemporaryError, "slow down"),
        ("ServerException", 500, "Service Unavailable. Please try again later.", TemporaryError, "ServerException"),
        ("ServiceUnavailable", 503, "", TemporaryError, "ServiceUnavailable"),
        ("ExpiredTokenException", 400, "The security token is expired", TemporaryError, "had run out"),
        ("ClientException", 400, "TaskDefinition is inactive", PermanentError, "DEVFLOW_ECS_TASK_DEFINITION"),
        ("ClientException", 400, "Unable to describe task definition.", PermanentError, "active revision"),
        ("ClientException", 400, "The quota of tasks in the PROVISIONING state", TemporaryError, "no room"),
        ("InvalidParameterException", 400, "The subnet ID 'x' does not exist", PermanentError, "DEVFLOW_ECS_SUBNETS"),
        ("ClusterNotFoundException", 400, "Cluster not found.", PermanentError, "DEVFLOW_ECS_CLUSTER"),
        ("AccessDeniedException", 400, "not authorized to perform: ecs:RunTask", PermanentError, "iam:PassRole"),
        ("AccessDeniedException", 400, "ecs:RunTask on task-definition/x", PermanentError, "bot's role this perm"),
        ("UnrecognizedClientException", 400, "The security token is invalid", PermanentError, "credentials"),
        ("BlockedException", 400, "Your account is blocked.", PermanentError, "is blocked"),
        ("PlatformUnknownException", 400, "No such platform.", PermanentError, "platform version"),
        ("UnsupportedFeatureException", 400, "Not here.", PermanentError, "not offered"),
        ("AWordOfTomorrow", 400, "", PermanentError, "AWordOfTomorrow"),
    ],
)
async def test_refusals(
    endpoint: EcsEndpoint, code: str, status: int, message: str, kind: type[DevflowError], words: str
) -> None:
    """What passes is tried again; what does not is told with what to mend."""
    endpoint.fail_next("RunTask", code, message, status)
    tasks = endpoint.open()
    with pytest.raises(kind) as caught:
        await tasks.run_task(launch())
    assert words in f"{caught.value.summary} {caught.value.remedy}"
    assert caught.value.remedy
    if isinstance(caught.value, TemporaryError):
        assert caught.value.outcome_unknown is (status >= 500)
    await tasks.close()


async def test_what_the_worker_is_told_is_never_quoted(endpoint: EcsEndpoint) -> None:
    """ECS may repeat the request in its refusal; the worker's token must not get into a thread or a log."""
    endpoint.fail_next("RunTask", "InvalidParameterException", f"Bad override: {TOKEN} is wrong")
    tasks = endpoint.open()
    with pytest.raises(PermanentError) as caught:
        await tasks.run_task(launch())
    assert "is wrong" in caught.value.summary
    assert TOKEN not in str(caught.value)
    await tasks.close()


@pytest.mark.parametrize("fault", [Fault(drop=True, after_effect=True), Fault(hang=True, after_effect=True)])
async def test_an_answer_that_is_lost(endpoint: EcsEndpoint, fault: Fault) -> None:
    """The task may have been started: that is said, and asking again finds the one task."""
    endpoint.upset_next("RunTask", fault)
    tasks = endpoint.open(client_read_timeout_seconds=0.3)
    with pytest.raises(TemporaryError) as caught:
        await tasks.run_task(launch())
    assert caught.value.outcome_unknown
    task = await tasks.run_task(launch())
    assert list(endpoint.tasks) == [task.task_arn]
    await tasks.close()


async def test_nobody_listens(endpoint: EcsEndpoint) -> None:
    """A connection that was never made has started nothing."""
    tasks = endpoint.open()
    await endpoint.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        with pytest.raises(TemporaryError, match="did not answer") as caught:
            await tasks.run_task(launch())
    assert not caught.value.outcome_unknown
    await tasks.close()


async def test_the_client_tries_again_by_itself(endpoint: EcsEndpoint) -> None:
    """One throttled call and one server's fault cost nobody an error; the number of tries is bounded."""
    endpoint.fail_next("RunTask", "ThrottlingException", "Rate exceeded")
    tasks = endpoint.open(client_attempts=2)
    task = await tasks.run_task(launch())
    assert len(endpoint.called("RunTask")) == 2
    assert list(endpoint.tasks) == [task.task_arn]
    for _ in range(2):
        endpoint.fail_next("DescribeTasks", "ServerException", "Oops", 500)
    with pytest.raises(TemporaryError):
        await tasks.describe_tasks([task.task_arn])
    assert len(endpoint.called("DescribeTasks")) == 2
    await tasks.close()


async def test_more_than_ecs_takes_is_not_even_sent(endpoint: EcsEndpoint) -> None:
    """8,192 characters of overrides, the JSON around them included."""
    tasks = endpoint.open()
    with pytest.raises(PermanentError, match="8192"):
        await tasks.run_task(launch(GREAT="x" * 8192))
    assert endpoint.calls == []
    rest = 8192 - len(json.dumps({"containerOverrides": [{"name": "worker", "environment": []}]})) - 400
    await tasks.run_task(launch(GREAT="x" * rest))
    await tasks.close()


async def test_no_credentials(endpoint: EcsEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in words, for all sessions alike."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    tasks = endpoint.open()
    with pytest.raises(PermanentError, match="no AWS credentials"):
        await tasks.run_task(launch())
    await tasks.close()


# -------------------------------------------------------------------------------------------- describing


async def test_a_hundred_in_a_call(endpoint: EcsEndpoint) -> None:
    """250 tasks are three calls, each with tags; an arn asked for twice is sent once."""
    tasks = endpoint.open()
    first = await tasks.run_task(launch())
    arns = [first.task_arn, *copies(endpoint, first.task_arn, 249)]
    found = await tasks.describe_tasks([*arns, arns[0]])
    assert set(found) == set(arns)
    assert {task.session_id for task in found.values()} == {SESSION}
    sent = endpoint.called("DescribeTasks")
    assert [len(call["tasks"]) for call in sent] == [100, 100, 50]
    assert {tuple(call["include"]) for call in sent} == {("TAGS",)}
    await tasks.close()


async def test_one_bad_arn_does_not_spoil_the_others(endpoint: EcsEndpoint) -> None:
    """ECS refuses the whole call for it; it alone is MISSING."""
    tasks = endpoint.open()
    first = await tasks.run_task(launch())
    bad = first.task_arn[:-1]
    arns = [*copies(endpoint, first.task_arn, 6), bad, first.task_arn]
    found = await tasks.describe_tasks(arns)
    assert {arn for arn, task in found.items() if task.last_status == "MISSING"} == {bad}
    assert len(found) == 8
    await tasks.close()


async def test_a_refusal_to_describe_is_no_missing_task(endpoint: EcsEndpoint) -> None:
    """MISSING ends sessions, so it is said only where ECS says so."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    for code, message in (("AccessDeniedException", "no"), ("InvalidParameterException", "include is unknown")):
        endpoint.fail_next("DescribeTasks", code, message)
        with pytest.raises(PermanentError):
            await tasks.describe_tasks([task.task_arn])
    odd = {"tasks": [], "failures": [{"arn": task.task_arn, "reason": "A word of tomorrow"}]}
    endpoint.upset_next("DescribeTasks", Fault(answer=odd))
    assert await tasks.describe_tasks([task.task_arn]) == {}
    await tasks.close()


async def test_not_known_yet(endpoint: EcsEndpoint) -> None:
    """A task just started may be unknown for a moment: MISSING, then there."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    endpoint.hide(task.task_arn, looks=1)
    looks = [(await tasks.describe_tasks([task.task_arn]))[task.task_arn].last_status for _ in range(2)]
    assert looks == ["MISSING", "PROVISIONING"]
    endpoint.forget(task.task_arn)
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn].last_status == "MISSING"
    await tasks.close()


async def test_how_a_task_ended(endpoint: EcsEndpoint) -> None:
    """Exit code and reason are the worker's container's; a sidecar's reason counts where it has none."""
    tasks = endpoint.open()
    out_of_memory, sidecar, killed = [(await tasks.run_task(launch(number))).task_arn for number in (1, 2, 3)]
    reason = "OutOfMemoryError: Container killed due to memory usage"
    endpoint.exit(out_of_memory, 137, container_reason=reason)
    endpoint.tasks[sidecar]["containers"][1].update(reason="CannotPullContainerError: EOF", exitCode=9)
    endpoint.exit(sidecar, None, stop_code="TaskFailedToStart", stopped_reason="Task failed to start")
    endpoint.exit(killed, None, stop_code="SpotInterruption", stopped_reason="Your Spot Task was interrupted.")
    found = await tasks.describe_tasks([out_of_memory, sidecar, killed])
    ended = {arn: (task.stop_code, task.stopped_reason, task.exit_code) for arn, task in found.items()}
    assert ended == {
        out_of_memory: ("EssentialContainerExited", f"Essential container in task exited; {reason}", 137),
        sidecar: ("TaskFailedToStart", "CannotPullContainerError: EOF", None),
        killed: ("SpotInterruption", "Your Spot Task was interrupted.", None),
    }
    await tasks.close()


async def test_health(endpoint: EcsEndpoint) -> None:
    """ECS's word on the container's health check is passed on."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    endpoint.advance(task.task_arn, "RUNNING")["healthStatus"] = "UNHEALTHY"
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn].health_status == "UNHEALTHY"
    await tasks.close()


async def test_a_task_without_its_tags(endpoint: EcsEndpoint) -> None:
    """ECS drops them when a task is asked to stop; the session is still known, by what the worker was told."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    await tasks.stop_task(task.task_arn, "enough")
    seen = (await tasks.describe_tasks([task.task_arn]))[task.task_arn]
    assert (seen.session_id, seen.launch) == (SESSION, None)
    await tasks.close()


# ------------------------------------------------------------------------------------ stopping and listing


async def test_stopping(endpoint: EcsEndpoint) -> None:
    """Unknown tasks are no fault, a missing permission is; a long reason is cut to what ECS takes."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    await tasks.stop_task(task.task_arn.rsplit("/", 1)[0] + "/" + "0" * 32, "x")
    endpoint.fail_next("StopTask", "AccessDeniedException", "not authorized to perform: ecs:StopTask")
    with pytest.raises(PermanentError, match="ecs:StopTask"):
        await tasks.stop_task(task.task_arn, "x")
    endpoint.fail_next("StopTask", "ClusterNotFoundException", "Cluster not found.")
    with pytest.raises(PermanentError, match="Cluster not found"):
        await tasks.stop_task(task.task_arn, "x")
    endpoint.upset_next("StopTask", Fault(drop=True, after_effect=True))
    with pytest.raises(TemporaryError):
        await tasks.stop_task(task.task_arn, "y" * 5000)
    await tasks.stop_task(task.task_arn, "y" * 5000)
    assert endpoint.tasks[task.task_arn]["stoppedReason"] == "y" * 255
    await tasks.close()


async def test_the_list_is_of_this_deployment_alone(endpoint: EcsEndpoint) -> None:
    """Page by page, by startedBy and no other filter; tasks of others are not even looked at."""
    endpoint.page_size = 2
    tasks, others = endpoint.open(), endpoint.open(deployment="devflow-ffffffffffffffff")
    first = await tasks.run_task(launch())
    ours = {first.task_arn, *copies(endpoint, first.task_arn, 4)}
    foreign = await others.run_task(launch(2))
    listed = await tasks.list_tasks()
    assert {task.task_arn for task in listed} == ours
    assert {(task.session_id, task.launch) for task in listed} == {(SESSION, 1)}
    pages = endpoint.called("ListTasks")
    assert len(pages) == 3
    assert {page["startedBy"] for page in pages} == {"devflow-0123456789abcdef"}
    assert all(page.keys() <= {"cluster", "startedBy", "nextToken"} for page in pages)
    assert all(foreign.task_arn not in call["tasks"] for call in endpoint.called("DescribeTasks"))
    await tasks.close()
    await others.close()


async def test_tasks_of_a_former_cluster(endpoint: EcsEndpoint) -> None:
    """After a change of settings they are looked for, and stopped, where they run; gone with it, they are MISSING."""
    tasks, moved = endpoint.open(), endpoint.open(cluster=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/other")
    task = await tasks.run_task(launch())
    assert (await moved.describe_tasks([task.task_arn]))[task.task_arn].last_status == "PROVISIONING"
    await moved.stop_task(task.task_arn, "moved")
    assert endpoint.tasks[task.task_arn]["stoppedReason"] == "moved"
    gone = task.task_arn.replace("/devflow/", "/former/")
    found = await moved.describe_tasks([gone, task.task_arn])
    assert [found[arn].last_status for arn in (gone, task.task_arn)] == ["MISSING", "PROVISIONING"]
    await moved.stop_task(gone, "gone")
    await tasks.close()
    await moved.close()


# ----------------------------------------------------------------------------------------------- the log


async def test_where_the_log_is(endpoint: EcsEndpoint) -> None:
    """Named from the task definition, which is asked for once for each revision."""
    tasks = endpoint.open()
    task = await tasks.run_task(launch())
    task_id = task.task_arn.rsplit("/", 1)[1]
    assert task.log_url is not None
    assert task.log_url.startswith(f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#")
    assert task.log_url.endswith(f"/log-group/$252Fdevflow$252Fworker/log-events/worker$252Fworker$252F{task_id}")
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn].log_url == task.log_url
    assert len(endpoint.called("DescribeTaskDefinition")) == 1
    endpoint.families["devflow-worker"] = 4
    await tasks.run_task(launch(2))
    revisions = [call["taskDefinition"][-2:] for call in endpoint.called("DescribeTaskDefinition")]
    assert revisions == [":3", ":4"]
    await tasks.close()


async def test_a_log_that_is_elsewhere(endpoint: EcsEndpoint) -> None:
    """Without the awslogs driver there is no page to name."""
    endpoint.log_options = None
    tasks = endpoint.open()
    assert (await tasks.run_task(launch())).log_url is None
    await tasks.close()


async def test_a_definition_that_may_not_be_read_costs_the_link_only(endpoint: EcsEndpoint) -> None:
    """The launch goes on; it is asked for again after ten minutes."""
    clock = [1000.0]
    tasks = endpoint.open(now=lambda: clock[0])
    endpoint.fail_next("DescribeTaskDefinition", "AccessDeniedException", "no")
    task = await tasks.run_task(launch())
    assert task.log_url is None
    await tasks.describe_tasks([task.task_arn])
    assert len(endpoint.called("DescribeTaskDefinition")) == 1
    clock[0] += 601
    assert (await tasks.describe_tasks([task.task_arn]))[task.task_arn].log_url is not None
    await tasks.close()


# ------------------------------------------------------------------------------------ threads and settings


async def test_a_slow_ecs_stops_nothing_else(endpoint: EcsEndpoint) -> None:
    """Calls wait in threads of the adapter's own, so many at once and no more; the event loop goes on."""
    tasks = endpoint.open(threads=2, client_read_timeout_seconds=30.0)
    task = await tasks.run_task(launch())
    endpoint.upset_next("DescribeTasks", Fault(hang=True))
    stuck = asyncio.create_task(tasks.describe_tasks([task.task_arn]))
    async with asyncio.timeout(60):
        while not endpoint.called("DescribeTasks"):
            await asyncio.sleep(0.01)
    assert [each.task_arn for each in await tasks.list_tasks()] == [task.task_arn]
    assert not stuck.done()
    await endpoint.stop()
    with pytest.raises(TemporaryError):
        await stuck
    await tasks.close()


async def test_after_closing(endpoint: EcsEndpoint) -> None:
    """A call that comes too late is refused in words."""
    tasks = endpoint.open()
    await tasks.close()
    await tasks.close()
    with pytest.raises(PermanentError, match="stopping"):
        await tasks.list_tasks()


def test_the_name_of_a_deployment() -> None:
    """The same for bots that share account, region and table, whatever the cluster; another for all others."""
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/devflow"
    name = deployment_name(arn, "devflow-sessions")
    assert name == deployment_name(arn.replace("cluster/devflow", "cluster/other"), "devflow-sessions")
    others = {
        deployment_name(arn, "devflow-staging"),
        deployment_name(arn.replace(ACCOUNT, "210987654321"), "devflow-sessions"),
        deployment_name(arn.replace(REGION, "us-east-1"), "devflow-sessions"),
    }
    assert len(others | {name}) == 4
    assert name.startswith("devflow-")
    assert len(name) == 24
    with pytest.raises(PermanentError, match="not the ARN"):
        deployment_name("devflow", "devflow-sessions")


async def test_the_cluster_must_be_there(endpoint: EcsEndpoint) -> None:
    """By name it is asked for; an ARN says all. One that is not there is told at the start."""
    client = ecs_client(region=REGION, endpoint_url=endpoint.url, attempts=1)
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/devflow"
    assert await find_cluster_arn(client, "devflow") == arn
    assert await find_cluster_arn(client, arn.replace("devflow", "any")) == arn.replace("devflow", "any")
    assert len(endpoint.called("DescribeClusters")) == 1
    with pytest.raises(PermanentError, match=f"no active ECS cluster `x` in {REGION}"):
        await find_cluster_arn(client, "x")
    endpoint.fail_next("DescribeClusters", "AccessDeniedException", "no")
    with pytest.raises(PermanentError, match="describe the cluster"):
        await find_cluster_arn(client, "devflow")
    client.close()


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as the setting it is."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    with pytest.raises(ConfigError, match="AWS_REGION"):
        ecs_client()


async def test_tasks_from_the_settings(endpoint: EcsEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `devflow run` builds: region and endpoint from AWS's own variables, the rest from DevFlow's."""
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", endpoint.url)
    given: dict[str, Any] = {
        "SLACK_BOT_TOKEN": "xoxb-x",
        "SLACK_APP_TOKEN": "xapp-x",
        "GITHUB_APP_ID": "1",
        "GITHUB_APP_PRIVATE_KEY": "-----BEGIN x",
        "DEVFLOW_SECRET": "s" * 32,
        "DEVFLOW_ALLOWED_USERS": "*",
        "DEVFLOW_TABLE": "a-table",
        "DEVFLOW_ECS_CLUSTER": "devflow",
        "DEVFLOW_ECS_TASK_DEFINITION": "devflow-worker",
        "DEVFLOW_ECS_SUBNETS": "subnet-1, subnet-2",
        "DEVFLOW_ECS_SECURITY_GROUPS": "sg-1,",
        "DEVFLOW_ECS_CAPACITY_PROVIDER": "FARGATE_SPOT",
        "DEVFLOW_GATEWAY_URL": "http://gateway.devflow.internal:8402",
    }
    tasks = await build_tasks(load_settings(given))
    await tasks.run_task(launch())
    (asked,) = endpoint.called("RunTask")
    assert asked["startedBy"] == deployment_name(f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/devflow", "a-table")
    network = asked["networkConfiguration"]["awsvpcConfiguration"]
    assert (network["subnets"], network["securityGroups"]) == (["subnet-1", "subnet-2"], ["sg-1"])
    assert asked["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"
    assert [task.session_id for task in await tasks.list_tasks()] == [SESSION]
    await tasks.close()
    with pytest.raises(PermanentError, match="no active ECS cluster"):
        await build_tasks(load_settings({**given, "DEVFLOW_ECS_CLUSTER": "another"}))


async def test_a_task_that_ecs_calls_deleted_is_over(endpoint: EcsEndpoint) -> None:
    """It is told as stopped, and nobody waits for it; in the list of what runs it is not."""
    tasks = endpoint.open()
    started = await tasks.run_task(launch())
    endpoint.tasks[started.task_arn]["lastStatus"] = "DELETED"
    assert (await tasks.describe_tasks([started.task_arn]))[started.task_arn].last_status == "STOPPED"
    assert await tasks.list_tasks() == []
    await tasks.close()
