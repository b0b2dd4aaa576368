"""Makes the DynamoDB table, or adds what is missing of it: the work of `devflow create-table`.

Called with a client of `dynamodb_calls.make_client`; what to make is defined in `dynamodb_table`. Nothing here removes
or rebuilds anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from slackbot.adapters.dynamodb_errors import FOREIGN_ERRORS, error_code, translate
from slackbot.adapters.dynamodb_table import (
    INDEX,
    TTL_ATTRIBUTE,
    TTL_OFF,
    Difference,
    TableState,
    attribute_definitions,
    definition,
    differences,
    find_index,
    index_definition,
    is_on_demand,
    key_differences,
    ttl_differences,
)
from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

WAIT_SECONDS = 300.0
"""A new table is there within half a minute; adding an index to a table that holds much takes longer."""
POLL_SECONDS = 1.0


def describe(client: DynamoDBClient, table: str) -> TableState | None:
    """The table as AWS describes it, or None when there is none. `DevflowError` when AWS does not say."""
    described = _describe_table(client, table)
    return None if described is None else _with_ttl(client, table, described)


def create_table(client: DynamoDBClient, table: str, *, point_in_time_recovery: bool = False) -> list[str]:
    """Makes the table, its index and its TTL as far as they are not there; the lines to tell the person.

    Blocks until the table can be used. May be repeated, also by two at once. A table that exists is never changed
    beyond adding what is missing (index, TTL, recovery); in what else it differs is told, and when sessions cannot be
    kept in it, nothing is touched and `PermanentError` says why. `TemporaryError` when it is not ready in 5 minutes.
    """
    lines = []
    if _describe_table(client, table) is None:
        try:
            client.create_table(**definition(table))
            lines.append(f"Table {table}: made, with the index {INDEX}, billed on demand.")
        except FOREIGN_ERRORS as error:
            # Somebody else makes it at this moment.
            if error_code(error) != "ResourceInUseException":
                raise _translated(client, error, "CreateTable", table) from error
    state = _when_ready(client, table)
    if not lines:
        lines.append(f"Table {table}: was there before.")
        if find_index(state.table) is None and not key_differences(state.table):
            state = _add_index(client, table, state)
            lines.append(f"Index {INDEX}: added.")
    found = differences(state)
    _refuse_fatal(table, found)
    lines += _switch_on_ttl(client, table, state)
    if point_in_time_recovery:
        lines.append(_switch_on_recovery(client, table))
    remaining = [difference for difference in found if difference.summary != TTL_OFF]
    lines += [f"Differs: {difference.summary}. To change it: {difference.remedy}" for difference in remaining]
    return lines


def _when_ready(client: DynamoDBClient, table: str) -> TableState:
    def ready() -> Mapping[str, Any] | None:
        described = _describe_table(client, table)
        if described is None:
            return None
        status = described.get("TableStatus")
        if status in ("DELETING", "ARCHIVING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS"):
            raise PermanentError(f"The table {table} is {status}.", "Wait, or choose another name with DEVFLOW_TABLE.")
        index = find_index(described)
        is_building = index is not None and index.get("IndexStatus") == "CREATING"
        return described if status in ("ACTIVE", "UPDATING") and not is_building else None

    return _with_ttl(client, table, _wait(ready, f"The table {table} is not ready yet."))


def _add_index(client: DynamoDBClient, table: str, state: TableState) -> TableState:
    index = index_definition()
    throughput = state.table.get("ProvisionedThroughput", {})
    if not is_on_demand(state.table):
        # A table with provisioned capacity takes an index only with some of its own.
        index["ProvisionedThroughput"] = {
            name: max(int(throughput.get(name, 1)), 1) for name in ("ReadCapacityUnits", "WriteCapacityUnits")
        }
    request: dict[str, Any] = {
        "AttributeDefinitions": attribute_definitions(),
        "GlobalSecondaryIndexUpdates": [{"Create": index}],
    }
    _asked(client, "UpdateTable", table, client.update_table, **request)
    return _when_ready(client, table)


def _switch_on_ttl(client: DynamoDBClient, table: str, state: TableState) -> list[str]:
    if [difference.summary for difference in ttl_differences(state.time_to_live)] != [TTL_OFF]:
        return []
    try:
        client.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        )
    except FOREIGN_ERRORS as error:
        # Another one has just switched it on.
        now = describe(client, table)
        if now is None or ttl_differences(now.time_to_live):
            raise _translated(client, error, "UpdateTimeToLive", table) from error
    return [f"TTL: switched on; items leave the table some days after their attribute {TTL_ATTRIBUTE}."]


def _switch_on_recovery(client: DynamoDBClient, table: str) -> str:
    backups = _asked(client, "DescribeContinuousBackups", table, client.describe_continuous_backups)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        return "Point-in-time recovery: is on."
    request: dict[str, Any] = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}

    def switched_on() -> bool | None:
        try:
            client.update_continuous_backups(TableName=table, **request)
        except FOREIGN_ERRORS as error:
            # AWS first prepares the backups of a table that was just made.
            if error_code(error) == "ContinuousBackupsUnavailableException":
                return None
            raise _translated(client, error, "UpdateContinuousBackups", table) from error
        return True

    _wait(switched_on, f"Point-in-time recovery of {table} cannot be switched on yet.")
    return (
        "Point-in-time recovery: switched on; AWS keeps each state of the last 35 days, prompts and answers included."
    )


def _refuse_fatal(table: str, found: Sequence[Difference]) -> None:
    fatal = [difference for difference in found if difference.is_fatal]
    if fatal:
        raise PermanentError(
            f"The table {table} is not one that sessions can be kept in; nothing was changed: "
            + "; ".join(difference.summary for difference in fatal)
            + ".",
            " ".join(dict.fromkeys(difference.remedy for difference in fatal)),
        )


def _describe_table(client: DynamoDBClient, table: str) -> Mapping[str, Any] | None:
    try:
        return client.describe_table(TableName=table)["Table"]
    except FOREIGN_ERRORS as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise _translated(client, error, "DescribeTable", table) from error


def _with_ttl(client: DynamoDBClient, table: str, described: Mapping[str, Any]) -> TableState:
    answer = _asked(client, "DescribeTimeToLive", table, client.describe_time_to_live)
    return TableState(described, answer["TimeToLiveDescription"])


def _wait(look: Callable[[], T | None], summary: str) -> T:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TemporaryError(summary, "Run `devflow create-table` again in some minutes; nothing is lost.")
        time.sleep(POLL_SECONDS)


def _asked(client: DynamoDBClient, action: str, table: str, method: Callable[..., Any], **request: Any) -> Any:
    try:
        return method(TableName=table, **request)
    except FOREIGN_ERRORS as error:
        raise _translated(client, error, action, table) from error


def _translated(client: DynamoDBClient, error: Exception, action: str, table: str) -> DevflowError:
    return translate(error, action, table, client.meta.region_name)
