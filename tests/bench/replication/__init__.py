"""Measuring the stream of one tenant's rows: how many a second, and how soon."""
