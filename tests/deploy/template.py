"""deploy/stack.yml, read: CloudFormation's short tags become the long form, `!Ref X` {"Ref": "X"}."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import yaml

from tests.deploy.dockerfile import ROOT

PATH = ROOT / "deploy" / "stack.yml"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the tags of CloudFormation; by libyaml where that is there, as every run of the tests waits for it."""


def _function(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _function)


@functools.cache
def load() -> dict[str, Any]:
    """The whole template."""
    template: dict[str, Any] = yaml.load(PATH.read_text(), _Loader)
    return template


def parts_of(value: Any) -> Iterator[Any]:
    """`value` and all that is in it, in no order."""
    yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from parts_of(inner)


def of_type(template: dict[str, Any], kind: str) -> dict[str, Any]:
    """The resources of one type, by name."""
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def container(template: dict[str, Any], task_definition: str, name: str) -> dict[str, Any]:
    """One container of a task definition."""
    containers = template["Resources"][task_definition]["Properties"]["ContainerDefinitions"]
    (found,) = (each for each in containers if each["Name"] == name)
    return dict(found)


def entries(listed: Any) -> list[dict[str, Any]]:
    """The entries of a list, those of both branches of an `If` included, what is nothing left out."""
    if isinstance(listed, dict) and "Fn::If" in listed:
        return [entry for branch in listed["Fn::If"][1:] for entry in entries(branch)]
    if isinstance(listed, list):
        return [entry for part in listed for entry in entries(part)]
    return [] if listed == {"Ref": "AWS::NoValue"} or listed is None else [listed]


def chosen(value: Any, conditions: dict[str, bool]) -> Any:
    """`value` as it is when the named conditions hold or not: each `If` decided, what is nothing left out."""
    if isinstance(value, dict) and "Fn::If" in value:
        name, held, otherwise = value["Fn::If"]
        return chosen(held if conditions[name] else otherwise, conditions)
    if isinstance(value, dict):
        return {name: chosen(inner, conditions) for name, inner in value.items()}
    if isinstance(value, list):
        return [part for part in (chosen(inner, conditions) for inner in value) if part != {"Ref": "AWS::NoValue"}]
    return value


def statements(template: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """What the policies of a role allow."""
    policies = list(template["Resources"][role]["Properties"].get("Policies", []))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy" and {"Ref": role} in resource["Properties"]["Roles"]:
            policies.append(resource["Properties"])
    return [each for policy in policies for each in entries(policy["PolicyDocument"]["Statement"])]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
