"""The AWS region that the environment names: for every boto3 client of DevFlow.

boto3 reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION, which ECS sets and the AWS CLI and other SDKs obey.
https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html#envvars-list-AWS_REGION
"""

from __future__ import annotations

import os


def environment_region() -> str | None:
    """What to give boto3 as `region_name`: AWS_REGION, or None to let boto3 look where it looks."""
    return os.environ.get("AWS_REGION", "").strip() or None
