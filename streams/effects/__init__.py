"""The work that a state calls for: checking, provisioning, holding and closing connections."""
