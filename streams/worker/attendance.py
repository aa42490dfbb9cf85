"""Looking after who uses a partition's tenants: used, idle, and to be connected again."""

from __future__ import annotations

from statemachine.commands import Connect, Deadline, DeadlineReached, UsersCounted, Wait
from statemachine.machines import Lifecycle, Occupancy
from statemachine.state import TenantState
from streams.worker.office import Office, Owner

RECONNECTOR = "reconnector"
"""Who asks for connections that are missed."""


class Attendance:
    """Holds the count of users against the states of one partition.

    Args:
        owner: decides for the tenants.
        office: what all owners of the worker share.
    """

    def __init__(self, owner: Owner, office: Office) -> None:
        self._owner = owner
        self._office = office

    def notice(self, state: TenantState) -> None:
        """A state is on the log: a tenant that is used already is told so at once."""
        if state.lifecycle is Lifecycle.READY and state.occupancy is not Occupancy.USED:
            users = self._office.users.count(state.tenant)
            if users > 0:
                self._owner.report(state.tenant, UsersCounted(users, None), "effect:users")

    def look(self, state: TenantState) -> None:
        """Look whether a tenant became used, or was unused for long enough; say nothing before reports were read."""
        if state.lifecycle is not Lifecycle.READY or not self._office.users.known(self._owner.number):
            return
        users = self._office.users
        counted = UsersCounted(users.count(state.tenant), users.empty_since(state.tenant))
        self._owner.report(state.tenant, counted, "effect:users")
        if state.shutdown_at is not None and state.shutdown_at <= self._office.now():
            deadline = Deadline.IDLE_SHUTDOWN
            self._owner.report(state.tenant, DeadlineReached(deadline), f"timer:{deadline.value}")

    def reconnect(self) -> None:
        """Ask for the connection of every tenant that is used, has none, and may have one."""
        for tenant in self._office.users.tenants_with_users(self._owner.number):
            state = self._owner.state(tenant)
            held = state.pause is not None or state.retry_at is not None
            if state.lifecycle is Lifecycle.ABSENT and not held and self._office.unwanted(tenant) is None:
                self._owner.report(tenant, Connect(Wait.NO, requested_by=RECONNECTOR), f"effect:{RECONNECTOR}")
