"""Streaming a tenant's rows: from the WAL of its database to the broadcasts topic."""
