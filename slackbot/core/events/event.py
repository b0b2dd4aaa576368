"""The root of all events."""

from __future__ import annotations


class Event:
    """The root of all events.

    Some have a `request_id`, the name of the message, the button press or the command they come from: Slack may deliver
    it again, and the same one twice is one wish.
    """
