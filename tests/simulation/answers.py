"""What must hold of every reply, at the moment it stands on the replies topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from statemachine import Rejection, TenantState, answer, decide
from statemachine.answers import Answer, answer_again
from statemachine.errors import Initializing
from streams.wire.reply import Reply, decode_reply
from tests.simulation.broker import Stored
from tests.simulation.callers import Asked
from tests.simulation.ledger import Ledger

if TYPE_CHECKING:
    from tests.simulation.world import World


class Answers:
    """Holds each reply against the log and against what was asked.

    Args:
        world: whose replies.
        asked: what clients asked, by command id.
        violated: told what is wrong.

    Attributes:
        checked: how many replies were held against the log.
    """

    def __init__(self, world: World, asked: Mapping[str, Asked], violated: Callable[[str], None]) -> None:
        self.checked = 0
        self._world = world
        self._asked = asked
        self._violated = violated

    def appended(self, stored: Stored) -> None:
        """Check a reply that was appended."""
        assert stored.value is not None
        reply = decode_reply(stored.value)
        asked = self._asked.get(reply.command or "")
        if asked is None:
            self._violated(f"a reply to {reply.command}, which nobody asked")
            return
        if reply.claim is None or reply.position is None or reply.status is None:
            return
        self.checked += 1
        ledger = self._world.ledgers.partitions[reply.position.partition]
        self._world.scheduler.say(f"reply to {reply.command}: {_words(reply)}")
        for problem in (*self._about_claim(reply, asked, ledger), *self._about_state(reply, asked, ledger)):
            self._violated(f"the reply to {reply.command} ({asked.request.command.type} {reply.tenant}): {problem}")

    def _about_claim(self, reply: Reply, asked: Asked, ledger: Ledger) -> list[str]:
        assert reply.position is not None
        assert reply.claim is not None
        found: list[str] = []
        counted = ledger.claim_at(reply.position.offset)
        if counted is None or counted.offset != reply.claim:
            found.append(f"claim {reply.claim} does not count at its position {reply.position.offset}")
        deposed_at = ledger.deposed_at(reply.claim)
        if deposed_at is not None and deposed_at < asked.step:
            found.append(f"claim {reply.claim} was deposed at step {deposed_at}, before it was asked at {asked.step}")
        if reply.event is not None:
            outcome = self._world.ledgers.outcomes.get(reply.command or "")
            if outcome is None or outcome.offset != reply.event.offset:
                found.append(f"it names the event at {reply.event.offset}, and the log says {outcome}")
        return found

    def _about_state(self, reply: Reply, asked: Asked, ledger: Ledger) -> list[str]:
        assert reply.position is not None
        assert reply.status is not None
        found: list[str] = []
        tenant, sequence = asked.request.tenant, reply.status.sequence
        if sequence > ledger.sequence(tenant):
            return [f"it knows event {sequence}, and the log has {ledger.sequence(tenant)}"]
        if sequence < asked.sequence:
            found.append(f"it knows {sequence} events, and {asked.sequence} counted when it was asked")
        missed = ledger.sequence_at(tenant, reply.position.offset)
        if sequence < missed:
            found.append(f"it knows {sequence} events, and {missed} stand before its position {reply.position.offset}")
        state = ledger.state(tenant, sequence)
        shown = (reply.status.lifecycle, reply.status.database, reply.status.replication, reply.status.since)
        if shown != (state.lifecycle.value, state.database.value, state.replication.value, state.since):
            found.append(f"it shows {shown}, and the log says {state}")
        found += self._about_outcome(reply, asked, state)
        return found

    def _about_outcome(self, reply: Reply, asked: Asked, state: TenantState) -> list[str]:
        """The outcome has to follow from the state that is shown with it."""
        command = asked.request.command
        due = answer(state, command)
        if reply.error is None:
            return [] if due is Answer.OK else [f"it says ok while the tenant is {state.lifecycle.value}"]
        decision = decide(state, command, reply.at, self._world.terms)
        refusals = [due, decision, answer_again(state, command, decision)]
        codes = {refusal.error.code for refusal in refusals if isinstance(refusal, Rejection)}
        if reply.error.code in {*codes, Initializing.code}:
            return []
        return [f"it is refused with {reply.error.code}, and {codes or 'nothing'} follows from {state.lifecycle.value}"]


def _words(reply: Reply) -> str:
    code = f" {reply.error.code}" if reply.error else ""
    status = f"{reply.status.lifecycle}/{reply.status.sequence}" if reply.status else ""
    return f"{reply.outcome}{code} {status} claim {reply.claim} position {reply.position and reply.position.offset}"
