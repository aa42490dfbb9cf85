"""The service and its surroundings: everything that touches Kafka, databases, clocks and people."""

from __future__ import annotations

import logging

# A library is quiet until the program that uses it says where its log goes.
logging.getLogger(__name__).addHandler(logging.NullHandler())
