"""What ECS says of a task, in the words of its own messages, and what people read then; the address of its log."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from slackbot.core.ports import TaskObservation
from slackbot.core.task_report import report_task, task_log_url

_PULL = "CannotPullContainerError: "
_INIT = "ResourceInitializationError: "
_RETRIED = "pull image manifest has been retried 5 time(s): "

REASONS: list[tuple[str, str, bool]] = [
    # the image
    (
        _PULL + _RETRIED + "failed to resolve ref docker.io/acme/w:1: Head: dial tcp 34.2.1.1:443: i/o timeout",
        "not answer",
        True,
    ),
    (_PULL + "ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: EOF", "not answer", True),
    (_PULL + _RETRIED + "lookup acme.example: no such host", "not answer", True),
    (_PULL + "Error response from daemon: toomanyrequests: You have reached your pull rate limit", "limits how", True),
    (
        _PULL + "pull access denied for acme/w, repository does not exist or may require 'docker login'",
        "refused",
        False,
    ),
    (_PULL + _RETRIED + "failed to resolve ref: unexpected status from HEAD request: 403 Forbidden", "refused", False),
    (_PULL + "User: arn:aws:sts::1:role/x is not authorized to perform: ecr:BatchGetImage", "refused access", False),
    (
        _PULL + _RETRIED + "failed to resolve ref 1.dkr.ecr.eu.amazonaws.com/w:9: 1.dkr/w:9: not found",
        "no image of",
        False,
    ),
    (_PULL + "Error response from daemon: manifest unknown: manifest unknown", "no image of that name", False),
    (_PULL + "image Manifest does not contain descriptor matching platform 'linux/amd64'", "and platform", False),
    (_PULL + "write /var/lib/containerd/x: no space left on device", "does not fit", False),
    (_PULL + "something of tomorrow", "could not be fetched.", True),
    # secrets, network, log
    (
        _INIT + "unable to pull secrets or registry auth: execution resource retrieval failed: AccessDenied",
        "given",
        False,
    ),
    (_INIT + "unable to pull secrets: Secrets Manager can't find the specified secret.", "be given its secrets", False),
    (_INIT + "unable to retrieve secret from asm: ResourceNotFoundException", "be given its secrets", False),
    (_INIT + "failed to validate logger args: create stream has been retried: log group does not exist", "log", False),
    (
        _INIT + "unable to pull secrets or registry auth: RequestError: send request failed: i/o timeout",
        "connected",
        True,
    ),
    (_INIT + "failed to configure ENI: failed to setup regular eni", "connected to its network", True),
    ("Timeout waiting for network interface provisioning to complete.", "connected to its network", True),
    ("Timeout waiting for EphemeralStorage provisioning to complete.", "connected to its network", True),
    ("Unexpected EC2 error while attempting to Create Network Interface in subnet 's': AuthFailure", "connected", True),
    ("Unexpected EC2 error ... in subnet 's': InsufficientFreeAddressesInSubnet", "no free address", False),
    # room
    (
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        "no room",
        True,
    ),
    ("RESOURCE:MEMORY", "no room", True),
    ("You've reached the limit on the number of vCPUs you can run concurrently", "limit of tasks", False),
    # the container
    (
        'CannotStartContainerError: failed to start: exec: "devflow": executable file not found in $PATH',
        "program",
        False,
    ),
    ("CannotCreateContainerError: API error (500): no such option", "program could not be started", False),
    ("CannotStartContainerError: failed to get container status: {{?}}", "could not make its container", True),
    ("ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 3m0s", "machine", True),
    ("DockerTimeoutError: Could not transition to created; timed out", "could not make its container", True),
    (
        "Essential container in task exited; OutOfMemoryError: Container killed due to memory usage",
        "out of memory",
        False,
    ),
    ("Task failed container health checks", "unhealthy", False),
    # the machine, services
    ("Your Spot Task was interrupted.", "Spot capacity back", True),
    ("Host EC2 (instance i-0123456789abcdef0) terminated.", "was taken away", True),
    ("ECS is performing maintenance on the underlying infrastructure hosting the task.", "was taken away", True),
    ("Scaling activity initiated by (deployment ecs-svc/123)", "An ECS service", False),
]


@pytest.mark.parametrize(("reason", "summary", "is_transient"), REASONS)
def test_reasons_of_ecs(reason: str, summary: str, is_transient: bool) -> None:
    """Each message is told for what it is, quoted for those who administer, with something to do."""
    report = report_task(TaskObservation("arn", "STOPPED", stop_code="TaskFailedToStart", stopped_reason=reason))
    assert summary in report.summary
    assert reason[:40] in report.summary
    assert "Retry" in report.remedy
    assert report.is_transient is is_transient


@pytest.mark.parametrize(
    ("stop_code", "summary", "is_transient"),
    [
        ("SpotInterruption", "Spot capacity", True),
        ("TerminationNotice", "being taken down", True),
        ("InfrastructureHealth", "fell ill", True),
        ("ServiceSchedulerInitiated", "An ECS service", False),
        ("UserInitiated", "from outside DevFlow", False),
        ("TaskFailedToStart", "failed to start.", False),
    ],
)
def test_stop_codes_alone(stop_code: str, summary: str, is_transient: bool) -> None:
    """Without a reason the code says enough."""
    report = report_task(TaskObservation("arn", "STOPPED", stop_code=stop_code))
    assert summary in report.summary
    assert "(" not in report.summary
    assert report.is_transient is is_transient


def test_what_a_person_wrote_is_no_fault_of_the_task() -> None:
    """A stop by hand is told as that, whatever words its reason has."""
    stop = TaskObservation("arn", "STOPPED", stop_code="UserInitiated", stopped_reason="CannotPull? RESOURCE: spot")
    assert "from outside DevFlow" in report_task(stop).summary
    assert not report_task(stop).is_transient


@pytest.mark.parametrize(
    ("exit_code", "summary"), [(137, "want of memory"), (139, "crashed"), (143, "signal 15"), (127, "not found")]
)
def test_exit_codes(exit_code: int, summary: str) -> None:
    """An exit is quoted with its reason only where that says more than that it ended."""
    generic = "Essential container in task exited"
    stop = TaskObservation("a", "STOPPED", stop_code="EssentialContainerExited", stopped_reason=generic)
    report = report_task(TaskObservation("a", "STOPPED", None, None, None, None, stop.stop_code, generic, exit_code))
    assert summary in report.summary
    assert generic not in report.summary


def test_an_unhealthy_task() -> None:
    """Told while it runs; a stopped or vanished one is told for how it ended."""
    assert "is unhealthy" in report_task(TaskObservation("a", "RUNNING", health_status="UNHEALTHY")).summary
    ended = TaskObservation("a", "STOPPED", health_status="UNHEALTHY", exit_code=3)
    assert "exit code 3" in report_task(ended).summary
    assert "is gone" in report_task(TaskObservation("a", "MISSING", health_status="UNHEALTHY")).summary


# ------------------------------------------------------------------------------------------------- the log


def test_the_address_of_a_log() -> None:
    """As the console writes it: names escaped twice, with `$` for the second `%`."""
    url = task_log_url("eu-central-1", "/devflow/worker", "worker", "worker", "0123abcd")
    assert url == (
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups"
        "/log-group/$252Fdevflow$252Fworker/log-events/worker$252Fworker$252F0123abcd"
    )


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
        ("ap-southeast-2", "https://ap-southeast-2.console.aws.amazon.com/"),
    ],
)
def test_other_partitions_have_other_consoles(region: str, console: str) -> None:
    """China and GovCloud are not reached through the console of the others."""
    assert task_log_url(region, "g", "p", "c", "t").startswith(f"{console}cloudwatch/home?region={region}#")


def test_a_log_without_a_prefix() -> None:
    """Its streams cannot be named, so the group is shown."""
    assert task_log_url("eu-central-1", "g", None, "c", "t").endswith("/log-group/g")


def test_odd_names_survive_the_address() -> None:
    """Read back as a browser and the console do, the name is what it was; nothing of it ends the link."""
    name = "team a/<worker>|50% of #1"
    url = task_log_url("eu-central-1", name, "p", "c", "t")
    shown = url.split("log-group/")[1].split("/log-events")[0]
    assert unquote(unquote(shown.replace("$", "%"))) == name
    assert not set("<>| ") & set(url)
