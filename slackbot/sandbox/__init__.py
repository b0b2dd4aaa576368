"""Stand-ins of Slack and GitHub for one machine. Nothing of the product imports this package."""
