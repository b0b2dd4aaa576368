"""A stand-in of Slack: Web API, Socket Mode, and a page for the browser."""
