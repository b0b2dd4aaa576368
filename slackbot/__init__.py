"""DevFlow Engine: turns a Slack thread into a development session."""

__version__ = "0.1.0"
