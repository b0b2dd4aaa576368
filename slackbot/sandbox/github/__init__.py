"""A stand-in of GitHub: the REST routes DevFlow uses, git over HTTP, and pages that show a diff."""
