"""boto3's client for Amazon ECS, and the cluster that the settings name. Made by `app`, given to `adapters/ecs.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from slackbot.adapters.aws_region import environment_region
from slackbot.adapters.ecs_errors import translate
from slackbot.adapters.ecs_shapes import is_cluster_arn
from slackbot.core.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient


def ecs_client(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    threads: int = 8,
    connect_timeout_seconds: float = 3.0,
    read_timeout_seconds: float = 7.0,
    attempts: int = 3,
) -> ECSClient:
    """A client whose calls end in bounded time: `attempts` of at most connect and read time each, with jitter between.

    Region, credentials and AWS_ENDPOINT_URL_ECS are found as botocore finds them. `ConfigError` without a region.
    Every call DevFlow makes is safe to repeat, RunTask by its client token.
    """
    config = Config(
        connect_timeout=connect_timeout_seconds,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=threads,
        tcp_keepalive=True,
    )
    try:
        return boto3.session.Session(region_name=region or environment_region()).client(
            "ecs", config=config, endpoint_url=endpoint_url
        )
    except NoRegionError as error:
        raise ConfigError(["AWS_REGION is not set: the region of the ECS cluster"]) from error
    except (BotoCoreError, ValueError) as error:
        raise ConfigError([f"the AWS settings cannot be used: {error}"]) from error


async def find_cluster_arn(client: ECSClient, cluster: str) -> str:
    """The ARN of a cluster given by name or ARN. `PermanentError` when there is no active one of that name."""
    if is_cluster_arn(cluster):
        return cluster
    try:
        answer = await asyncio.to_thread(client.describe_clusters, clusters=[cluster])
    except (BotoCoreError, ClientError) as error:
        raise translate(error, f"describe the cluster `{cluster}`") from error
    for found in answer.get("clusters", []):
        if found.get("status") == "ACTIVE":
            return found["clusterArn"]
    raise PermanentError(
        f"There is no active ECS cluster `{cluster}` in {client.meta.region_name}.",
        "Check DEVFLOW_ECS_CLUSTER and AWS_REGION.",
    )
