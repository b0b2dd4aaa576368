"""Pure: sessions, turns and errors -> Block Kit. Every text people read in Slack stands in this room."""
