"""Four resource types that moto's CloudFormation does not make: here they are made by boto3's calls on moto itself.

Importing this module is enough; moto finds the classes as subclasses of its own.
"""

from __future__ import annotations

from typing import Any

import boto3
from moto.core.common_models import CloudFormationModel


class _Made:
    """One resource: its physical id, which `Ref` gives, and its attributes, which `GetAtt` gives."""

    def __init__(self, physical_resource_id: str, **attributes: str) -> None:
        self.physical_resource_id = physical_resource_id
        self.attributes = attributes

    def get_cfn_attribute(self, attribute_name: str) -> str:
        return self.attributes[attribute_name]

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in ("Arn", "Id")

    def is_created(self) -> bool:
        return True


def _client(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region)  # type: ignore[call-overload]


class _Secret(_Made, CloudFormationModel):  # type: ignore[misc]
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> _Made:
        properties = cloudformation_json["Properties"]
        client = _client("secretsmanager", region_name)
        value = properties.get("SecretString")
        if value is None:
            value = client.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
        arn = client.create_secret(Name=resource_name, SecretString=value)["ARN"]
        client.close()
        return cls(arn, Id=arn)


class _Namespace(_Made, CloudFormationModel):  # type: ignore[misc]
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::ServiceDiscovery::PrivateDnsNamespace"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> _Made:
        properties = cloudformation_json["Properties"]
        client = _client("servicediscovery", region_name)
        client.create_private_dns_namespace(Name=properties["Name"], Vpc=properties["Vpc"])
        made = next(each for each in client.list_namespaces()["Namespaces"] if each["Name"] == properties["Name"])
        client.close()
        return cls(made["Id"], Arn=made["Arn"], Id=made["Id"])


class _Discovery(_Made, CloudFormationModel):  # type: ignore[misc]
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::ServiceDiscovery::Service"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> _Made:
        properties = cloudformation_json["Properties"]
        client = _client("servicediscovery", region_name)
        made = client.create_service(Name=properties["Name"], NamespaceId=properties["NamespaceId"])["Service"]
        client.close()
        return cls(made["Id"], Arn=made["Arn"], Id=made["Id"])


class _Egress(_Made, CloudFormationModel):  # type: ignore[misc]
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::EC2::SecurityGroupEgress"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> _Made:
        properties = cloudformation_json["Properties"]
        client = _client("ec2", region_name)
        rule = {
            "IpProtocol": properties["IpProtocol"],
            "FromPort": int(properties["FromPort"]),
            "ToPort": int(properties["ToPort"]),
            "UserIdGroupPairs": [{"GroupId": properties["DestinationSecurityGroupId"]}],
        }
        client.authorize_security_group_egress(GroupId=properties["GroupId"], IpPermissions=[rule])
        client.close()
        return cls(f"{properties['GroupId']}-{resource_name}")
