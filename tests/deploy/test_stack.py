"""deploy/stack.yml as text: clean, complete, and the same as what the code makes and needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slackbot.adapters.dynamodb_table import TTL_ATTRIBUTE, definition
from slackbot.config import Settings
from tests.deploy.dockerfile import read
from tests.deploy.template import PATH, chosen, container, entries, load, of_type, parts_of

TEMPLATE = load()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
BOT = container(TEMPLATE, "BotTaskDefinition", "bot")
AUDIT = container(TEMPLATE, "BotTaskDefinition", "audit")
WORKER = container(TEMPLATE, "WorkerTaskDefinition", "worker")

NOT_SETTINGS = {"AWS_REGION", "AWS_DEFAULT_REGION"}
"""Read by boto3 itself."""
NOT_YET_SETTINGS = {"DEVFLOW_PUBLIC_LISTEN", "DEVFLOW_PUBLIC_URL"}
"""Given with a public address only; read once editor and webhook are there. Settings ignore what they do not know."""


def properties(name: str) -> dict[str, Any]:
    return dict(RESOURCES[name]["Properties"])


def test_cfn_lint_finds_nothing() -> None:
    """The linter that knows every resource's schema."""
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, PATH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_can_be_deployed_without_a_bucket() -> None:
    """`aws cloudformation deploy` takes a template of at most 51,200 bytes from a file; aliases it does not read."""
    text = PATH.read_text()
    assert len(text.encode()) <= 51_200
    assert not re.search(r"(^|[\s\[:-])[&*][A-Za-z_]\w*\s*$", text, re.MULTILINE)


def test_parameters_and_outputs_are_described_and_grouped() -> None:
    """What the console shows: a sentence for each, every parameter in a group."""
    for part in ("Parameters", "Outputs"):
        assert [name for name, each in TEMPLATE[part].items() if len(each.get("Description", "")) < 12] == []
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])


def test_nothing_stands_in_it_for_nothing() -> None:
    """Every parameter is used by a resource, a condition or an output."""
    used = {part["Ref"] for part in parts_of([RESOURCES, TEMPLATE["Conditions"], TEMPLATE["Outputs"]]) if _is_ref(part)}
    for part in parts_of([RESOURCES, TEMPLATE["Outputs"]]):
        if isinstance(part, dict) and "Fn::Sub" in part:
            used |= set(re.findall(r"\$\{(\w+)\}", part["Fn::Sub"]))
    assert set(TEMPLATE["Parameters"]) - used == set()


def test_the_table_is_the_one_the_code_makes() -> None:
    """Keys, index, projection and billing as `devflow create-table` makes them; TTL on."""
    made, table = definition("any"), properties("Table")
    for each in (made, table):  # the order of what an index holds says nothing
        each["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"].sort()
    for name in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"):
        assert table[name] == made[name], name
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": {"Ref": "PointInTimeRecovery"}}
    assert TEMPLATE["Parameters"]["PointInTimeRecovery"]["Default"] == "false"
    assert TEMPLATE["Parameters"]["TableName"]["Default"] == Settings.model_fields["DEVFLOW_TABLE"].default


def test_the_bot_is_told_settings_that_it_knows() -> None:
    """No variable of the bot is one that nothing reads."""
    given = {entry["Name"] for entry in entries(BOT["Environment"])} | {
        entry["Name"] for entry in entries(BOT["Secrets"])
    }
    assert given - set(Settings.model_fields) == NOT_SETTINGS | (NOT_YET_SETTINGS - set(Settings.model_fields))


@pytest.mark.parametrize("held", [False, True])
def test_no_variable_is_given_twice(held: bool) -> None:
    """CloudFormation takes a list of variables with two that are the same for a fault of the template."""
    for each in (BOT, WORKER):
        given = chosen([each["Environment"], each.get("Secrets")], dict.fromkeys(TEMPLATE["Conditions"], held))
        names = [entry["Name"] for entry in entries(given)]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice


def test_what_is_secret_comes_from_secrets_manager() -> None:
    """Every secret setting the stack gives is a secret of ECS, and no parameter of one is ever shown."""
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {entry["Name"] for entry in entries(BOT["Secrets"])} <= secret
    assert not secret & {entry["Name"] for entry in entries(BOT["Environment"])}
    kept = [
        each["Properties"].get("SecretString") for each in of_type(TEMPLATE, "AWS::SecretsManager::Secret").values()
    ]
    parameters = [value["Ref"] for value in kept if value]
    assert len(parameters) == 3
    assert all(TEMPLATE["Parameters"][name]["NoEcho"] is True for name in parameters)
    assert properties("SigningSecret")["GenerateSecretString"]["PasswordLength"] >= 32
    assert properties("WebhookSecret")["GenerateSecretString"]["PasswordLength"] >= 32


def test_the_workers_know_nothing_before_their_launch() -> None:
    """No secret, no role's permission, no variable but the proxy's."""
    role = properties("WorkerTaskRole")
    assert "Policies" not in role
    assert "ManagedPolicyArns" not in role
    assert "Secrets" not in WORKER
    names = {entry["Name"].upper() for entry in entries(WORKER["Environment"])}
    assert names == {"HTTPS_PROXY", "NO_PROXY"}
    assert properties("WorkerTaskDefinition")["TaskRoleArn"] == {"Fn::GetAtt": ["WorkerTaskRole", "Arn"]}


@pytest.mark.parametrize(
    ("image", "inside", "stop_seconds"), [("bot", BOT, 30), ("worker", WORKER, 60)], ids=["bot", "worker"]
)
def test_containers_live_and_end_as_their_images_say(image: str, inside: dict[str, Any], stop_seconds: int) -> None:
    """ECS ignores an image's HEALTHCHECK, so the template repeats it; user, command and time to end as well."""
    dockerfile = read()
    health = dockerfile.last(image, "HEALTHCHECK")
    command, user = dockerfile.last(image, "CMD"), dockerfile.last(image, "USER")
    assert health is not None
    assert command is not None
    assert user is not None
    assert inside["HealthCheck"]["Command"] == ["CMD", *health.exec_form]
    seconds = {name.replace("-", ""): int(value.rstrip("s")) for name, value in health.flags.items()}
    told = {name.lower(): value for name, value in inside["HealthCheck"].items() if name != "Command"}
    assert told == seconds
    assert inside["Command"] == command.exec_form
    assert (user.text, inside["User"]) == ("devflow", "10001")
    assert inside["StopTimeout"] == stop_seconds
    assert inside["LinuxParameters"]["InitProcessEnabled"] is True
    # Of what Docker gives, the worker keeps what starts the agent as its own user, and the bot nothing.
    given = set(
        "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP "
        "SETUID SYS_CHROOT".split()
    )
    dropped = set(inside["LinuxParameters"]["Capabilities"]["Drop"])
    assert dropped == ({"ALL"} if inside["Name"] == "bot" else given - {"SETUID", "SETGID"})


def test_each_log_has_a_group_of_its_own_that_forgets() -> None:
    """Bot, workers and audit apart, each with a retention; the audit log outlives the stack."""
    groups = [inside["LogConfiguration"]["Options"]["awslogs-group"]["Ref"] for inside in (BOT, AUDIT, WORKER)]
    assert groups == ["BotLogGroup", "AuditLogGroup", "WorkerLogGroup"]
    assert all("RetentionInDays" in properties(name) for name in groups)
    assert RESOURCES["AuditLogGroup"]["DeletionPolicy"] == "RetainExceptOnCreate"
    audit_file = next(entry["Value"] for entry in entries(BOT["Environment"]) if entry["Name"] == "DEVFLOW_AUDIT_LOG")
    assert audit_file in AUDIT["Command"][0]
    assert audit_file.startswith(BOT["MountPoints"][0]["ContainerPath"] + "/")
    assert {"ContainerName": "audit", "Condition": "START"} in BOT["DependsOn"]


def test_a_first_attempt_that_failed_can_be_taken_back_and_repeated() -> None:
    """Nothing with a fixed name stays behind, and nothing refuses to go: the next attempt would fail on it."""
    assert TEMPLATE["Parameters"]["DeletionProtection"]["Default"] == "false"
    assert {each.get("DeletionPolicy") for each in RESOURCES.values()} <= {None, "Delete", "RetainExceptOnCreate"}


def test_nothing_reaches_a_worker() -> None:
    """But the bot, with a public address, at the door of its editor; out it goes to the gateway and as told below."""
    assert "SecurityGroupIngress" not in properties("WorkerSecurityGroup")
    ingress = of_type(TEMPLATE, "AWS::EC2::SecurityGroupIngress")
    gateway = {"Ref": "GatewaySecurityGroup"}
    to_workers = {name for name, each in ingress.items() if each["Properties"]["GroupId"] != gateway}
    assert to_workers == {"WorkerFromGateway"}
    door = ingress["WorkerFromGateway"]
    assert door["Condition"] == "HasPublicAddress"
    assert door["Properties"]["SourceSecurityGroupId"] == {"Ref": "GatewaySecurityGroup"}
    assert (door["Properties"]["FromPort"], door["Properties"]["ToPort"]) == (8404, 8404)
    assert "DEVFLOW_EDITOR_PORT=8404" in (PATH.parents[1] / "Dockerfile").read_text()
    to_gateway = properties("WorkerToGateway")
    assert to_gateway["DestinationSecurityGroupId"] == {"Ref": "GatewaySecurityGroup"}


@pytest.mark.parametrize(
    ("has_proxy", "has_s3", "expected"),
    [
        (False, False, {("0.0.0.0/0", 443), ("0.0.0.0/0", 80)}),
        (True, False, {("EndpointsCidr", 443), ("ProxyCidr", "ProxyPort")}),
        (True, True, {("EndpointsCidr", 443), ("ProxyCidr", "ProxyPort"), ("S3PrefixListId", 443)}),
    ],
)
def test_workers_go_out_as_the_parameters_say(has_proxy: bool, has_s3: bool, expected: set[tuple[str, Any]]) -> None:
    """The internet by two ports; with a proxy nothing but it, the endpoints and where image layers lie."""
    conditions = {"HasProxy": has_proxy, "HasProxyAndS3": has_s3}
    rules = chosen(properties("WorkerSecurityGroup")["SecurityGroupEgress"], conditions)

    def plain(value: Any) -> Any:
        return value["Ref"] if _is_ref(value) else value

    found = {
        (plain(rule.get("CidrIp") or rule.get("DestinationPrefixListId")), plain(rule["FromPort"])) for rule in rules
    }
    assert found == expected
    assert all(rule["FromPort"] == rule["ToPort"] and rule["IpProtocol"] == "tcp" for rule in rules)


def test_nobody_but_workers_and_the_load_balancer_reaches_the_bot() -> None:
    """By security group, never by address."""
    assert "SecurityGroupIngress" not in properties("GatewaySecurityGroup")
    sources = {
        name: each["Properties"].get("SourceSecurityGroupId", {}).get("Ref")
        for name, each in of_type(TEMPLATE, "AWS::EC2::SecurityGroupIngress").items()
    }
    assert sources == {
        "GatewayFromWorker": "WorkerSecurityGroup",
        "GatewayFromLoadBalancer": "LoadBalancerSecurityGroup",
        "WorkerFromGateway": "GatewaySecurityGroup",
    }


def test_the_gateway_is_one_port_everywhere() -> None:
    """Listened on, dialled, let through, mapped and looked at."""
    told = {entry["Name"]: entry["Value"] for entry in entries(BOT["Environment"])}
    assert told["DEVFLOW_GATEWAY_LISTEN"] == "0.0.0.0:8402"
    assert told["DEVFLOW_GATEWAY_URL"] == {"Fn::Sub": "http://gateway.${Namespace}:8402"}
    assert properties("GatewayDiscovery")["Name"] == "gateway"
    for name in ("WorkerToGateway", "GatewayFromWorker"):
        assert (properties(name)["FromPort"], properties(name)["ToPort"]) == (8402, 8402)
    assert 8402 in {mapping["ContainerPort"] for mapping in entries(BOT["PortMappings"])}
    assert "8402" in BOT["HealthCheck"]["Command"][-1]
    exposed = read().last("bot", "EXPOSE")
    assert exposed is not None
    assert exposed.text == "8402"


def test_the_service_is_replaced_without_a_pause() -> None:
    """The new bot runs before the old one leaves; one that does not come up is taken back."""
    service = properties("BotService")
    assert service["DeploymentConfiguration"] == {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
    }
    assert service["DesiredCount"] == {"Ref": "BotCount"}
    assert service["EnableExecuteCommand"] is False


def test_the_load_balancer_is_there_only_when_asked_for() -> None:
    """Without certificate and domain nothing public is made; with them, TLS only."""
    public = [
        name
        for name, each in RESOURCES.items()
        if each["Type"].startswith(("AWS::ElasticLoadBalancingV2", "AWS::Route53")) or "LoadBalancer" in name
    ]
    assert len(public) >= 6
    assert {RESOURCES[name].get("Condition") for name in public} == {"HasPublicAddress", "MakesDnsRecords"}
    listeners = of_type(TEMPLATE, "AWS::ElasticLoadBalancingV2::Listener").values()
    assert [each["Properties"]["Protocol"] for each in listeners] == ["HTTPS"]


def _is_ref(part: Any) -> bool:
    return isinstance(part, dict) and set(part) == {"Ref"}
