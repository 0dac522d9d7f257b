"""Other engines on the same job, each in an environment of its own."""
