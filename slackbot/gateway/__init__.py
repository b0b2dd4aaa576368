"""HTTP in: what workers call, and the health of the bot."""
