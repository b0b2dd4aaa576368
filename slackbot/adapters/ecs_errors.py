"""What ECS, botocore and the network answer when they say no -> the errors of `core.errors`, in sentences.

`adapters/ecs.py` hands in what it caught; nothing else of botocore may come out.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from botocore import exceptions as boto

from slackbot.core.clipping import one_line
from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

_THROTTLED = frozenset(
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
    "TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded SlowDown PriorRequestNotComplete".split()
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_CALLER = frozenset(
    "UnrecognizedClientException InvalidClientTokenId InvalidSignatureException SignatureDoesNotMatch "
    "IncompleteSignature MissingAuthenticationToken MissingAuthenticationTokenException AuthFailure "
    "OptInRequired NotAuthorized".split()
)
_SERVER = frozenset(
    "ServerException InternalFailure InternalError ServiceUnavailable ServiceUnavailableException".split()
)

_NEVER_SENT = (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ProxyConnectionError, boto.SSLError)

_NO_ROOM = re.compile(
    r"RESOURCE:|capacity is unavailable|insufficient capacity|capacity error|^AGENT|EMPTY CAPACITY PROVIDER"
    r"|NO ACTIVE INSTANCES|try again later|in the PROVISIONING",
    re.IGNORECASE,
)
_AT_THE_LIMIT = re.compile(r"(reached|exceed\w*) .*(limit|quota)|limit .*exceeded|LimitExceeded", re.IGNORECASE)

_REMEDIES: Mapping[str, str] = {
    "AccessDeniedException": (
        "Give the bot's role this permission (docs/deploy.md lists all of them; RunTask also needs ecs:TagResource, "
        "and iam:PassRole on the roles of the task definition)."
    ),
    "ClusterNotFoundException": "Check DEVFLOW_ECS_CLUSTER and the region, and that the cluster is active.",
    "InvalidParameterException": (
        "Check DEVFLOW_ECS_SUBNETS, DEVFLOW_ECS_SECURITY_GROUPS, DEVFLOW_ECS_CONTAINER and the task definition."
    ),
    "ClientException": "Check DEVFLOW_ECS_TASK_DEFINITION and DEVFLOW_ECS_CLUSTER with `devflow check`.",
    "BlockedException": "The AWS account is blocked: https://aws.amazon.com/contact-us says how to ask why.",
    "PlatformTaskDefinitionIncompatibilityException": "Make the task definition fit Fargate's platform version.",
    "PlatformUnknownException": "Make the task definition fit Fargate's platform version.",
    "UnsupportedFeatureException": "What the task definition asks for is not offered in this region.",
}
_TASK_DEFINITION = "Check DEVFLOW_ECS_TASK_DEFINITION: the family must have an active revision in this region."


def error_code(error: BaseException) -> str:
    """ECS's name for what went wrong, or "" when it was not ECS that said so."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def error_message(error: BaseException) -> str:
    """ECS's sentence, on one line and bounded."""
    found = error.response.get("Error", {}).get("Message", "") if isinstance(error, boto.ClientError) else error
    return one_line(str(found), 300)


def translate(error: Exception, doing: str, *, write: bool = False, hidden: Collection[str] = ()) -> DevflowError:
    """What botocore raised -> what a person reads. `doing` names the call in words; `hidden` must not be quoted."""
    if isinstance(error, boto.ClientError):
        return _translate_answer(error, doing, write, hidden)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.ProfileNotFound):
        return PermanentError(
            f"Amazon ECS could not be asked to {doing}: DevFlow has no AWS credentials.",
            "Run it with a task role, or give it credentials as the AWS SDK expects them.",
        )
    if isinstance(error, boto.ParamValidationError):
        return PermanentError(
            f"Amazon ECS could not be asked to {doing}: a setting has a form that it does not take.",
            "Check the DEVFLOW_ECS_ settings with `devflow check`.",
        )
    return TemporaryError(
        f"Amazon ECS did not answer when asked to {doing} ({type(error).__name__}).",
        "DevFlow tries again; if it goes on, look at the network and at https://health.aws.amazon.com.",
        outcome_unknown=write and not isinstance(error, _NEVER_SENT),
    )


def _translate_answer(error: boto.ClientError, doing: str, write: bool, hidden: Collection[str]) -> DevflowError:
    code, said = error_code(error), _without(error_message(error), hidden)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if code in _THROTTLED or status == 429:
        return TemporaryError(
            f"Amazon ECS asked DevFlow to slow down when it was to {doing}.", "DevFlow tries again by itself."
        )
    if status >= 500 or code in _SERVER:
        return TemporaryError(
            f"Amazon ECS failed when asked to {doing} ({code or status}).",
            "DevFlow tries again; if it goes on, look at https://health.aws.amazon.com.",
            outcome_unknown=write,
        )
    if code in _EXPIRED:
        return TemporaryError(
            f"Amazon ECS was asked to {doing} with credentials that had run out.",
            "They are fetched anew; if it goes on, check the bot's role and the machine's clock.",
        )
    if code in _UNKNOWN_CALLER:
        return PermanentError(
            f"Amazon ECS does not accept DevFlow's credentials ({code}).",
            "Check the bot's role, the region and the machine's clock.",
        )
    if code == "ClientException" and (_NO_ROOM.search(said) or _AT_THE_LIMIT.search(said)):
        return _no_room(said)
    remedy = _REMEDIES.get(code, "Check the DEVFLOW_ECS_ settings with `devflow check`.")
    if code != "AccessDeniedException" and re.search(r"task ?definition", said, re.IGNORECASE):
        remedy = _TASK_DEFINITION
    return PermanentError(f"Amazon ECS refused to {doing}: {said or code}", remedy)


def translate_failures(failures: Sequence[Mapping[str, Any]]) -> DevflowError:
    """RunTask answered 200 and started nothing: why, from its `failures`.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
    """
    said = [
        one_line(" – ".join(str(part) for part in (each.get("reason"), each.get("detail")) if part), 300)
        for each in failures
    ]
    why = "; ".join(dict.fromkeys(part for part in said if part))[:600]
    if not why:
        return TemporaryError(
            "Amazon ECS started no task, and gave no reason.", "DevFlow tries again.", outcome_unknown=True
        )
    if all(_NO_ROOM.search(part) or _AT_THE_LIMIT.search(part) for part in said if part):
        return _no_room(why)
    return PermanentError(
        f"Amazon ECS started no task: {why}",
        "Check the cluster, its capacity providers and the task definition; then press Retry.",
    )


def _no_room(why: str) -> TemporaryError:
    return TemporaryError(
        f"Amazon ECS has no room for the task just now: {why}",
        "DevFlow tries again; more subnets in other zones, or a higher Fargate quota, make this rarer.",
        retry_after_seconds=5.0,
    )


def _without(text: str, hidden: Collection[str]) -> str:
    for secret in hidden:
        if len(secret) >= 8:
            text = text.replace(secret, "…")
    return text
