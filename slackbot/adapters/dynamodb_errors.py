"""What DynamoDB refused, in words: exceptions of botocore become errors of `core.errors`.

Called by the DynamoDB adapters for every failed call; what comes out is shown to people and decides on repeats.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from slackbot.core.errors import DevflowError, PermanentError, TemporaryError

FOREIGN_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError, OSError)
"""What a call through boto3 raises."""

LOST_RACE = "ConditionalCheckFailedException"

_NETWORK = "If this lasts, check the network and https://health.aws.amazon.com."
_CREATE = "Run `devflow create-table`, or correct DEVFLOW_TABLE or AWS_REGION."
_CREDENTIALS = (
    "Give the bot AWS credentials: a task role on ECS, or AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)

# Refused before anything was done, so a repeat is safe and nothing is in doubt.
_THROTTLED = frozenset(
    "ProvisionedThroughputExceededException ThrottlingException Throttling RequestLimitExceeded ThrottledException "
    "TransactionConflictException ReplicatedWriteConflictException TransactionInProgressException "
    "TooManyRequestsException".split()
)
_FAULTS_OF_AWS = frozenset(
    "InternalServerError InternalFailure InternalServerErrorException ServiceUnavailable".split()
)
_BUSY_TABLE = frozenset("ResourceInUseException LimitExceededException ContinuousBackupsUnavailableException".split())
_DENIED = frozenset("AccessDeniedException AccessDenied OptInRequired".split())
_NOT_KNOWN = frozenset(
    "UnrecognizedClientException InvalidSignatureException ExpiredTokenException ExpiredToken InvalidClientTokenId "
    "MissingAuthenticationTokenException MissingAuthenticationToken IncompleteSignatureException "
    "IncompleteSignature SignatureDoesNotMatch InvalidAccessKeyId".split()
)

_NOT_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.ProfileNotFound,
    boto.SSOError,
    boto.LoginError,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InfiniteLoopConfigError,
)
_LOST_ANSWER = (
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    boto.ConnectionError,
    ResponseParserError,
    OSError,
)


def error_code(error: BaseException) -> str:
    """AWS's own name of a refusal, such as `ConditionalCheckFailedException`; empty when there is none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def translate(error: Exception, action: str, table: str = "", region: str = "") -> DevflowError:
    """The failure of one `action` (`PutItem`) as an error of ours.

    `outcome_unknown` is set whenever the request may have been done: callers of reads clear it.
    """
    if isinstance(error, DevflowError):
        return error
    if isinstance(error, boto.ClientError):
        return _refusal(error, action, table, region)
    kind = type(error).__name__
    if isinstance(error, boto.NoRegionError):
        return PermanentError(
            "DynamoDB cannot be called: no AWS region is set.", "Set AWS_REGION, for example to eu-central-1."
        )
    if isinstance(error, _NO_CREDENTIALS):
        return PermanentError(f"DynamoDB cannot be called: no AWS credentials were found ({kind}).", _CREDENTIALS)
    if isinstance(error, boto.CredentialRetrievalError | boto.MetadataRetrievalError):
        return TemporaryError(f"AWS credentials could not be fetched for {action} ({kind}).", _CREDENTIALS)
    if isinstance(error, _NOT_SENT):
        return TemporaryError(f"DynamoDB could not be reached for {action} ({kind}).", _NETWORK)
    if isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return PermanentError(
            f"DynamoDB's certificate was not accepted for {action}.",
            "Check the machine's clock and CA certificates; behind a proxy that opens TLS set AWS_CA_BUNDLE.",
        )
    if isinstance(error, _LOST_ANSWER):
        return TemporaryError(
            f"DynamoDB did not answer {action} in time or cut the connection ({kind}).", _NETWORK, outcome_unknown=True
        )
    if isinstance(error, boto.ParamValidationError):
        return PermanentError(
            f"{action} cannot be asked of the table '{table}': {_short(str(error))}",
            "Check DEVFLOW_TABLE; otherwise this is a fault of DevFlow, please report it.",
        )
    return PermanentError(
        f"DynamoDB cannot be called for {action} ({kind}: {_short(str(error))}).", "Check the AWS_* settings."
    )


def _refusal(error: boto.ClientError, action: str, table: str, region: str) -> DevflowError:
    code = error_code(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    where = f"'{table}' in {region}" if region else f"'{table}'"
    if code in _THROTTLED:
        return TemporaryError(
            f"DynamoDB asks to slow down before the next {action} on {where} ({code}).", "It passes by itself."
        )
    if code in _FAULTS_OF_AWS or status >= 500:
        return TemporaryError(
            f"DynamoDB could not do {action} just now ({code or status}).", _NETWORK, outcome_unknown=True
        )
    if code in _BUSY_TABLE:
        return TemporaryError(f"DynamoDB cannot do {action} on {where} yet ({code}).", "Try again in a minute.")
    if code in ("ResourceNotFoundException", "TableNotFoundException"):
        return PermanentError(f"There is no DynamoDB table {where}.", _CREATE)
    if code in _DENIED:
        return PermanentError(
            f"AWS does not allow the bot dynamodb:{action} on the table {where} ({code}): {_short(message)}",
            f"Allow dynamodb:{action} on the table and its index in the policy of the bot's role (docs/deploy.md).",
        )
    if code in _NOT_KNOWN:
        return PermanentError(
            f"AWS did not accept the bot's credentials for {action} ({code}).",
            "Renew them and check the machine's clock. " + _CREDENTIALS,
        )
    if code == "ValidationException":
        return _invalid(message, action, where)
    return PermanentError(f"DynamoDB refused {action} on {where} ({code}): {_short(message)}")


def _invalid(message: str, action: str, where: str) -> PermanentError:
    lower = message.lower()
    if "item size" in lower:
        return PermanentError(
            f"The session is larger than the 400 KB that DynamoDB keeps in one item ({action}).",
            "Start a new session in another thread; this one cannot grow.",
        )
    if "specified index" in lower:
        return PermanentError(f"The DynamoDB table {where} lacks the index that lists sessions.", _CREATE)
    return PermanentError(
        f"DynamoDB refused {action} on {where}: {_short(message)}",
        "`devflow create-table` says whether the table is as DevFlow needs it.",
    )


def _short(text: str) -> str:
    """One line of AWS's own words. They name roles and ARNs, never keys."""
    line = " ".join(text.split())[:400]
    return line if line.endswith(".") else line + "."
