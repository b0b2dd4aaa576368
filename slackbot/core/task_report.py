"""What a task's system says -> what happened, why, and what to do; and where the task's log is. Pure.

Reads `TaskObservation`; read by transitions (error and retry), by views (words) and by the ECS adapter (log address).
Stop codes and reasons: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from slackbot.core.clipping import one_line
from slackbot.core.ports import TaskObservation


@dataclass(frozen=True)
class TaskReport:
    """`summary`: what happened and why. `remedy`: what to do. `is_transient`: likely to work when tried again."""

    summary: str
    remedy: str
    is_transient: bool = False


_AGAIN = "Press Retry to go on with a new task."
_ON_BRANCH = "Press Retry to go on with a new one."

# Each row: a pattern of the reason, and what it means. The first that fits counts, so the special stand before the
# general. The patterns are pieces of ECS's own messages, which vary in wording between platforms.
_BY_REASON: tuple[tuple[re.Pattern[str], TaskReport], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), report)
    for pattern, report in (
        (
            r"OutOfMemory|\bOOM\b|OOM.?Killed",
            TaskReport(
                "The worker ran out of memory and was ended by its machine.",
                "Give the task more memory, or ask for less at once; then press Retry.",
            ),
        ),
        (
            r"CannotPull.*(toomanyrequests|rate limit|too many requests)",
            TaskReport(
                "The task's image could not be fetched: the registry limits how often it may be asked.",
                "Press Retry in some minutes; a copy of the image in a registry of your own has no such limit.",
                is_transient=True,
            ),
        ),
        (
            r"CannotPull.*(access denied|unauthori[sz]ed|not authori[sz]ed|AccessDenied|no basic auth|forbidden"
            r"|\b40[13]\b|docker login|denied: )",
            TaskReport(
                "The task's image could not be fetched: the registry refused access, or there is no such repository.",
                "Check the image's name, and that the task's execution role may read it; then press Retry.",
            ),
        ),
        (
            r"CannotPull.*(manifest unknown|name unknown|not found|does not exist|invalid reference"
            r"|descriptor matching)",
            TaskReport(
                "The task's image could not be fetched: there is no image of that name, tag and platform.",
                "Check the image in the task definition; then press Retry.",
            ),
        ),
        (
            r"CannotPull.*no space left",
            TaskReport(
                "The task's image could not be fetched: it does not fit on the task's disk.",
                "Give the task more ephemeral storage, or make the image smaller; then press Retry.",
            ),
        ),
        (
            r"CannotPull.*(time.?out|timed out|deadline exceeded|\bEOF\b|connection re|TLS handshake|request canceled"
            r"|temporary failure|no such host|invalid argument|send request failed|\b5\d\d\b)",
            TaskReport(
                "The task's image could not be fetched: the registry did not answer.",
                "Press Retry; if it happens again, check that its subnets reach the registry (NAT or endpoints).",
                is_transient=True,
            ),
        ),
        (
            r"CannotPull",
            TaskReport(
                "The task's image could not be fetched.",
                "Check that the image exists and that the task may reach the registry; then press Retry.",
                is_transient=True,
            ),
        ),
        (
            r"ResourceInitialization.*(log group|log stream|logger args|awslogs|CloudWatch)",
            TaskReport(
                "The task's log could not be opened.",
                "Check that the log group exists and that the execution role may write to it; then press Retry.",
            ),
        ),
        (
            r"ResourceInitialization.*(AccessDenied|not authori[sz]ed|can't find the specified secret"
            r"|ResourceNotFound|ParameterNotFound|invalid ssm|no identity-based policy|assume role)",
            TaskReport(
                "The task could not be given its secrets or its registry access.",
                "Check that they exist and that the task's execution role may read them; then press Retry.",
            ),
        ),
        (
            r"InsufficientFreeAddresses|not have enough free addresses",
            TaskReport(
                "The task's subnet has no free address left.",
                "Let other tasks end, or give DevFlow larger subnets; then press Retry.",
            ),
        ),
        (
            r"ResourceInitialization|network interface|\bENI\b|ENI provisioning|Unexpected EC2 error|EphemeralStorage"
            r"|Service Discovery|Service Connect",
            TaskReport(
                "The task could not be connected to its network or its secrets.",
                "Press Retry; if it happens again, check subnets, routes and the execution role.",
                is_transient=True,
            ),
        ),
        (
            r"Capacity is unavailable|RESOURCE:|no Fargate configuration|insufficient capacity|unable to place",
            TaskReport(
                "There was no room for the task just now.", "Press Retry in a minute or two.", is_transient=True
            ),
        ),
        (
            r"(You've reached|exceeded?) .*(limit|quota)|LimitExceeded",
            TaskReport(
                "The account's limit of tasks that run at once is reached.",
                "Stop sessions that are not needed, or raise the Fargate quota; then press Retry.",
            ),
        ),
        (
            r"spot.*interrupt",
            TaskReport("Amazon took the Spot capacity back.", _AGAIN, is_transient=True),
        ),
        (
            r"(ContainerRuntime|DockerTimeout|CannotInspectContainer|CannotCreateVolume|HostConfig|ContainerRuntimeTimeout"
            r"|InternalError|TaskFailedToStart: unexpected)|failed to get container status|Could not transition to",
            TaskReport(
                "The machine under the task could not make its container.",
                "Press Retry; if it happens again, look into the task's stopped reason.",
                is_transient=True,
            ),
        ),
        (
            r"Cannot(Start|Create|Run)Container",
            TaskReport(
                "The worker's program could not be started.",
                "Check the task definition's command; then press Retry.",
            ),
        ),
        (
            r"failed (container|ELB) health checks|health check.*fail|unhealthy",
            TaskReport(
                "The task was ended because it was unhealthy: its worker no longer answered the health check.",
                "Look into the task's log, then press Retry.",
            ),
        ),
        (
            r"maintenance|retire|Host EC2|instance .*(terminat|stopp)|underlying (host|infrastructure)",
            TaskReport("The machine under the task was taken away.", _AGAIN, is_transient=True),
        ),
        (
            r"Scaling activity|ServiceScheduler|deployment ecs-svc",
            TaskReport(
                "An ECS service ended the task. Workers must not belong to a service.",
                "Check that no service uses the worker's task definition; then press Retry.",
            ),
        ),
    )
)

_BY_STOP_CODE = {
    "SpotInterruption": TaskReport("Amazon took the Spot capacity back.", _AGAIN, is_transient=True),
    "TerminationNotice": TaskReport("The machine under the task is being taken down.", _AGAIN, is_transient=True),
    "InfrastructureHealth": TaskReport("The machine under the task fell ill.", _AGAIN, is_transient=True),
    "UserInitiated": TaskReport("The task was stopped from outside DevFlow.", _AGAIN),
    "ServiceSchedulerInitiated": TaskReport(
        "An ECS service ended the task. Workers must not belong to a service.",
        "Check that no service uses the worker's task definition; then press Retry.",
    ),
    "TaskFailedToStart": TaskReport(
        "The task failed to start.", "Press Retry; if it happens again, look into the task's stopped reason."
    ),
}

_FOREIGN_WORDS = frozenset({"UserInitiated"})
"""Stop codes whose reason was written by a person or a program, so it says nothing about the fault."""


def is_unhealthy(task: TaskObservation) -> bool:
    """Whether ECS runs the task's health check and it fails. ECS itself leaves such a task running.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html
    """
    return task.health_status == "UNHEALTHY" and task.last_status not in ("STOPPED", "MISSING")


def report_task(task: TaskObservation) -> TaskReport:
    """A stopped, missing or unhealthy task in plain words; its own reason is quoted, for those who administer."""
    if task.last_status == "MISSING":
        return TaskReport(
            "The session's task is gone, and its system no longer knows why.",
            "It may have done part of the work. Press Retry to go on with a new task.",
        )
    if is_unhealthy(task):
        return TaskReport(
            "The worker's task is unhealthy: it no longer passes its health check, so it is being stopped.",
            "Look into the task's log, then press Retry.",
        )
    reason = " ".join((task.stopped_reason or "").split())
    report = None
    if task.stop_code not in _FOREIGN_WORDS:
        report = next((known for pattern, known in _BY_REASON if pattern.search(reason)), None)
    report = report or _BY_STOP_CODE.get(task.stop_code or "") or _by_exit_code(task.exit_code)
    if not reason or reason == "Essential container in task exited":
        return report
    return TaskReport(f"{report.summary} ({one_line(reason, 200)})", report.remedy, report.is_transient)


def _by_exit_code(exit_code: int | None) -> TaskReport:
    if exit_code is None:
        return TaskReport("The worker ended without an exit code.", _ON_BRANCH)
    if exit_code == 137:
        return TaskReport("The worker was killed (exit code 137), often for want of memory.", _ON_BRANCH)
    if exit_code == 139:
        return TaskReport("The worker crashed (exit code 139, a fault in memory).", _ON_BRANCH)
    if exit_code > 128:
        return TaskReport(f"The worker was ended by signal {exit_code - 128}.", _ON_BRANCH)
    if exit_code == 127:
        return TaskReport(
            "The worker's program was not found (exit code 127).",
            "Check the task definition's image and command; then press Retry.",
        )
    if exit_code == 126:
        return TaskReport(
            "The worker's program may not be run (exit code 126).",
            "Check the task definition's image and command; then press Retry.",
        )
    if exit_code == 0:
        return TaskReport("The worker ended before its session did.", _ON_BRANCH)
    return TaskReport(f"The worker ended with exit code {exit_code}.", _ON_BRANCH + " Its log says more.")


def task_log_url(region: str, log_group: str, stream_prefix: str | None, container: str, task_id: str) -> str:
    """The page of the CloudWatch console that shows what one container of one task wrote.

    The stream of the awslogs driver is `prefix/container/task id`; without a prefix its name is the container's
    runtime id, so the page of the group is all that can be named.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
    """
    if region.startswith("cn-"):
        console = f"https://{region}.console.amazonaws.cn"
    elif region.startswith("us-gov-"):
        console = "https://console.amazonaws-us-gov.com"
    else:
        console = f"https://{region}.console.aws.amazon.com"
    page = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{_fragment(log_group)}"
    if not stream_prefix:
        return page
    return f"{page}/log-events/{_fragment(f'{stream_prefix}/{container}/{task_id}')}"


def _fragment(name: str) -> str:
    """The console escapes names in its fragment twice, and writes `$` for `%` the second time."""
    return quote(quote(name, safe=""), safe="").replace("%", "$")
