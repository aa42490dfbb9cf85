"""What must hold of sessions in tenants' databases: none without its event, none of an older claim beside a newer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from statemachine.commands import CheckHealth
from statemachine.machines import Lifecycle
from streams.tenantdb.naming import PROBE, claim_of
from tests.simulation.postgres import Server, Session

if TYPE_CHECKING:
    from tests.simulation.world import World

GRACE_S: Final = 8.0
"""How long sessions of an older claim may live beside those of a newer one while everything works."""

WORKED_ON: Final = (Lifecycle.PROVISIONING, Lifecycle.READY, Lifecycle.STOPPING)
"""States that call for a session under the claim: to hold it, or to end what an owner before left."""


class Sessions:
    """Watches every session.

    Args:
        world: where they are.
        violated: told what is wrong.

    Attributes:
        opened: how many were asked for.
    """

    def __init__(self, world: World, violated: Callable[[str], None]) -> None:
        self.opened = 0
        self._world = world
        self._violated = violated
        self._beside: dict[int, float] = {}

    def asked_for(self, who: str, tenant: str, name: str) -> None:
        """A worker begins to open a session: the log must say that it is to."""
        self.opened += 1
        ledger = self._world.ledger_of(tenant)
        states = ledger.states.get(tenant, [])
        claim = claim_of(name)
        if claim is not None:
            if all(counted.offset != claim for counted in ledger.claims):
                self._violated(f"{who} connects to {tenant} under claim {claim}, which never counted")
            since = states[ledger.sequence_at(tenant, claim) :]
            if not any(state.lifecycle in WORKED_ON for state in since):
                self._violated(f"{who} connects to {tenant} under claim {claim}, and no event says so")
        elif name == PROBE and not self._may_be_checked(tenant):
            self._violated(f"{who} checks {tenant}, and no event says so")

    def _may_be_checked(self, tenant: str) -> bool:
        """An event called for it, or a health check of a tenant that rests: that looks whether it is migrated."""
        if any(state.lifecycle is Lifecycle.CHECKING for state in self._world.ledger_of(tenant).states.get(tenant, ())):
            return True
        requests = (asked.request for asked in self._world.asked.values())
        return any(request.tenant == tenant and isinstance(request.command, CheckHealth) for request in requests)

    def look(self) -> None:
        """Look at all sessions that live now."""
        for server in self._world.servers.values():
            if server.up and server.slow == 1.0:
                self._look_at(server)

    def _look_at(self, server: Server) -> None:
        newest: dict[str, int] = {}
        for holder in server.locks.holders:
            if holder.claim is not None:
                newest[holder.database] = max(holder.claim, newest.get(holder.database, -1))
        for session in server.sessions.values():
            older = session.claim is not None and session.claim < newest.get(session.database, -1)
            if not older or _is_excused(session):
                self._beside.pop(id(session), None)
                continue
            since = self._beside.setdefault(id(session), self._world.scheduler.now)
            if self._world.scheduler.now - since > GRACE_S:
                self._violated(f"{session} lives beside claim {newest[session.database]} since {since:.1f} s")

    def left_over(self) -> list[str]:
        """What is wrong once everything has settled: exactly the ready tenants hold sessions, of the last claim."""
        found: list[str] = []
        for tenant in self._world.tenants:
            ledger = self._world.ledger_of(tenant)
            held = {
                session.claim
                for server in self._world.servers.values()
                for session in server.sessions.values()
                if session.database == tenant and session.claim is not None
            }
            ready = ledger.state(tenant).lifecycle is Lifecycle.READY
            wanted = {ledger.claims[-1].offset} if ready else set()
            if held != wanted:
                found.append(f"{tenant} is {ledger.state(tenant).lifecycle.value}, its sessions are of claims {held}")
        return found


def _is_excused(session: Session) -> bool:
    """Its process cannot know, or it is ending already."""
    return session.ending or session.link.frozen or session.link.dead
