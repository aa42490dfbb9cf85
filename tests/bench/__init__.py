"""Measures this service against a plain Faust application: the same commands, the same broker, the same run."""
