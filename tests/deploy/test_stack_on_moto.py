"""deploy/stack.yml deployed on moto: references, conditions and settings fit together.

moto applies neither TTL, recovery, what security groups let out, network mode nor sizes of task definitions; those are
asserted on the text. What its CloudFormation does not make at all, `moto_more` makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from slackbot.adapters.dynamodb_table import TTL_OFF, TableState, differences
from slackbot.config import Settings, load_settings
from tests.deploy import moto_more  # noqa: F401  moto finds what is in it
from tests.deploy.template import PATH, load

REGION = "eu-central-1"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"


class Deployed:
    """One stack on moto, with what is needed to look at it."""

    def __init__(self, name: str, **parameters: str) -> None:
        ec2 = boto3.client("ec2", region_name=REGION)
        vpc_id = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]][:2]
        self.subnets = [
            ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.1.{number}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate(zones)
        ]
        ec2.close()
        given = {
            "BotImage": "example/bot:1",
            "WorkerImage": "example/worker:1",
            "VpcId": vpc_id,
            "SubnetIds": ",".join(self.subnets),
            "GitHubAppId": "12345",
            "AllowedUsers": "U012AB3CD,S0GROUP",
            "TableName": f"{name}-sessions",
            "ClusterName": name,
            **parameters,
        }
        if "PublicSubnetIds" in given:
            given["PublicSubnetIds"] = given["SubnetIds"]
        formation = boto3.client("cloudformation", region_name=REGION)
        formation.create_stack(
            StackName=name,
            TemplateBody=PATH.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
        self.status = stack["StackStatus"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
        self.resources = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
            for each in formation.describe_stack_resources(StackName=name)["StackResources"]
            if "LogicalResourceId" in each
        }
        formation.close()

    def bot_environment(self) -> dict[str, str]:
        """What the bot's container is given, secrets read."""
        ecs = boto3.client("ecs", region_name=REGION)
        secrets = boto3.client("secretsmanager", region_name=REGION)
        definition = ecs.describe_task_definition(taskDefinition=self.resources["BotTaskDefinition"])["taskDefinition"]
        (bot,) = (each for each in definition["containerDefinitions"] if each["name"] == "bot")
        # CloudFormation takes AWS::NoValue out of a list, moto leaves None there.
        given = {entry["name"]: entry["value"] for entry in bot["environment"] if entry}
        for secret in filter(None, bot["secrets"]):
            given[secret["name"]] = secrets.get_secret_value(SecretId=secret["valueFrom"])["SecretString"]
        ecs.close()
        secrets.close()
        return given


SECRETS = {"SlackBotToken": "xoxb-1", "SlackAppToken": "xapp-1", "GitHubAppPrivateKey": PEM}


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """moto instead of AWS for this module."""
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def plain(aws: None) -> Deployed:
    """The least that must be given."""
    return Deployed("plain", **SECRETS)


@pytest.fixture(scope="module")
def full(aws: None) -> Deployed:
    """Everything turned on, with secrets that exist already."""
    manager = boto3.client("secretsmanager", region_name=REGION)
    arns = {
        f"{name}Arn": manager.create_secret(Name=name, SecretString=value)["ARN"] for name, value in SECRETS.items()
    }
    manager.close()
    acm = boto3.client("acm", region_name=REGION)
    certificate_arn = acm.request_certificate(DomainName="devflow.example.com")["CertificateArn"]
    acm.close()
    return Deployed(
        "full",
        CertificateArn=certificate_arn,
        Domain="devflow.example.com",
        PublicSubnetIds="",
        WorkerCapacity="FARGATE_SPOT",
        WorkerDisk="50",
        ProxyUrl="http://proxy.example.com:3128",
        ProxyCidr="10.9.0.0/24",
        EndpointsCidr="10.1.0.0/16",
        S3PrefixListId="pl-6ea54007",
        BotCount="2",
        AssignPublicIp="ENABLED",
        SecretsKmsKeyArn=f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555",
        **arns,
    )


def test_the_least_that_is_given_makes_a_whole_stack(plain: Deployed) -> None:
    """Every resource without a condition is made, and every output has a value."""
    template = load()
    assert plain.status == "CREATE_COMPLETE"
    made_anyway = {name for name, each in template["Resources"].items() if "Condition" not in each}
    assert made_anyway <= set(plain.resources)
    assert {name for name, each in template["Outputs"].items() if "Condition" not in each} == set(plain.outputs)
    assert not [name for name in plain.resources if "LoadBalancer" in name or "Public" in name]


def test_the_bot_starts_with_what_the_stack_gives(plain: Deployed) -> None:
    """`devflow run` takes the container's environment, and understands it as meant."""
    settings = load_settings(plain.bot_environment())
    assert settings.DEVFLOW_TABLE == "plain-sessions" == plain.outputs["TableName"]
    assert plain.outputs["ClusterArn"] == settings.DEVFLOW_ECS_CLUSTER
    assert settings.ecs_subnets == tuple(plain.subnets)
    assert settings.ecs_security_groups == (plain.outputs["WorkerSecurityGroupId"],)
    assert settings.gateway_address == ("0.0.0.0", 8402)
    assert settings.DEVFLOW_GATEWAY_URL == "http://gateway.devflow.internal:8402"
    assert settings.DEVFLOW_ECS_CAPACITY_PROVIDER is None
    assert settings.DEVFLOW_ECS_ASSIGN_PUBLIC_IP is False
    assert settings.access_policy.users == {"U012AB3CD"}
    assert settings.private_key_pem() == PEM
    assert settings.DEVFLOW_SECRET is not None
    assert len(settings.DEVFLOW_SECRET.get_secret_value()) == 64


def test_bounds_default_to_those_of_the_settings(plain: Deployed) -> None:
    """Who changes nothing gets what docs/settings.md says."""
    settings = load_settings(plain.bot_environment())
    same = "MAX_SESSIONS MAX_SESSIONS_PER_USER IDLE_SECONDS MAX_SESSION_SECONDS AGENT ECS_CONTAINER STORE TASKS".split()
    for name in (f"DEVFLOW_{each}" for each in same):
        assert getattr(settings, name) == Settings.model_fields[name].default, name


def test_what_is_turned_on_reaches_the_bot_and_the_workers(full: Deployed) -> None:
    """Spot, public addresses, given secrets, the proxy, the load balancer."""
    assert full.status == "CREATE_COMPLETE"
    given = full.bot_environment()
    settings = load_settings(given)
    assert settings.DEVFLOW_ECS_CAPACITY_PROVIDER == "FARGATE_SPOT"
    assert settings.DEVFLOW_ECS_ASSIGN_PUBLIC_IP is True
    assert settings.SLACK_BOT_TOKEN is not None
    assert settings.SLACK_BOT_TOKEN.get_secret_value() == "xoxb-1"
    assert given["DEVFLOW_PUBLIC_URL"] == "https://{session}.devflow.example.com"
    assert {"LoadBalancer", "PublicListener", "PublicTargets"} <= set(full.resources)
    assert not {"SlackBotTokenSecret", "DomainRecord"} & set(full.resources)
    ecs = boto3.client("ecs", region_name=REGION)
    definition = ecs.describe_task_definition(taskDefinition="devflow-worker")["taskDefinition"]
    service = ecs.describe_services(cluster="full", services=["full-bot"])["services"][0]
    ecs.close()
    environment = {entry["name"]: entry["value"] for entry in definition["containerDefinitions"][0]["environment"]}
    assert environment["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert environment["NO_PROXY"] == "localhost,127.0.0.1,.devflow.internal"
    assert service["desiredCount"] == 2


def test_the_table_is_one_that_sessions_can_be_kept_in(plain: Deployed) -> None:
    """What `devflow check` would say of it: nothing, but for the TTL, which moto leaves off."""
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    table = dynamodb.describe_table(TableName="plain-sessions")["Table"]
    dynamodb.close()
    assert [found.summary for found in differences(TableState(table, {"TimeToLiveStatus": "DISABLED"}))] == [TTL_OFF]


def test_policies_come_out_as_json_that_iam_takes(full: Deployed) -> None:
    """Every reference in the policies is resolved to an ARN."""
    iam = boto3.client("iam", region_name=REGION)
    texts = []
    for role in ("BotTaskRole", "BotExecutionRole", "WorkerExecutionRole", "WorkerTaskRole"):
        name = full.resources[role]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            texts.append(json.dumps(document))
    iam.close()
    assert len(texts) == 5
    assert not [text for text in texts if "Fn::" in text or '"Ref"' in text or "${" in text]
    assert any(f"arn:aws:ecs:{REGION}:123456789012:task/full/*" in text for text in texts)
