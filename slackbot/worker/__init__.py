"""What runs inside the task: the checkout, the agent, and the way back to the gateway."""
