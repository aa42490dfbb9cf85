"""Whether a status says what the events of its tenant say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chaos.evidence import Finding
from tests.chaos.facts import Facts, moment


def check_status(reply: dict[str, Any], facts: Facts) -> Iterator[Finding]:
    """Everything in the status of ``reply`` that is not as ``facts``, those at its sequence."""
    status = reply["status"]
    expected = {
        "tenant": reply["tenant"],
        "lifecycle": facts.lifecycle,
        "reason": facts.reason,
        "database": facts.database,
        "replication": facts.replication,
        "occupancy": facts.occupancy,
        "migrations": facts.migrations,
    }
    told = {name: status[name] for name in expected}
    told |= {"owner": (status["owner"] or {}).get("claim"), "held until": moment(status["deadlines"].get("pause"))}
    expected |= {"owner": reply["claim"], "held until": facts.until}
    if facts.lifecycle == "absent":
        told["held"] = status["why"]["code"] == "paused"
        expected["held"] = facts.paused
    wrong = [f"{name} {told[name]} for {expected[name]}" for name in told if told[name] != expected[name]]
    if wrong:
        what = f"the status in the answer to {reply['command']} says at {facts.sequence}: {', '.join(wrong)}"
        yield Finding("status", reply["tenant"], what)
