"""A stand-in of Slack: Web API, Socket Mode, and a page for the browser."""

from slackbot.sandbox.slack.faults import ApiCall, Fault, PersonRefusedError
from slackbot.sandbox.slack.server import SlackStandIn

__all__ = ["ApiCall", "Fault", "PersonRefusedError", "SlackStandIn"]
