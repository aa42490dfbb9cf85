"""The local stack: Apache Kafka and PostgreSQL on this machine, without Docker."""

from __future__ import annotations
