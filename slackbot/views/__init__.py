"""Every text people read in Slack, as pure functions from a session to Block Kit."""
