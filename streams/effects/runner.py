"""All effects of a worker: one piece of work per tenant and owner."""

from __future__ import annotations

import asyncio
from functools import partial

from statemachine.reactions import Reaction, reaction
from statemachine.state import TenantState
from streams.effects.tenant import Means, TenantWork
from streams.worker.owner import PartitionOwner


class EffectRunner:
    """Starts, changes and ends the work of tenants as their owners ask for it.

    Args:
        means: what the work of every tenant needs.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._work: dict[PartitionOwner, dict[str, TenantWork]] = {}
        self._closed = False

    def want(self, owner: PartitionOwner, state: TenantState) -> None:
        """Do what the state, which is on the log, calls for."""
        if self._closed:
            return
        wanted = reaction(state)
        tenants = self._work.setdefault(owner, {})
        work = tenants.get(state.tenant)
        if work is None:
            if wanted is Reaction.REST:
                return
            report = partial(owner.report, state.tenant)
            work = tenants[state.tenant] = TenantWork(state.tenant, owner.partition.claim.offset, self._means, report)
        if wanted is Reaction.REST and work.resting:
            del tenants[state.tenant]
        else:
            work.want(wanted)

    async def forget(self, owner: PartitionOwner) -> None:
        """End the work of the owner's tenants and close what they hold."""
        tenants = self._work.pop(owner, {})
        await asyncio.gather(*(work.close() for work in tenants.values()))

    async def close(self) -> None:
        """End all work; nothing is begun afterwards. What states call for is the next owner's."""
        self._closed = True
        await asyncio.gather(*(self.forget(owner) for owner in list(self._work)))
