"""Clients: they ask, wait, ask again under the same id, now and then twice at once, and are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from statemachine.commands import COMMAND_TYPES, Command, Connect, PauseTenant, Shutdown, Status, Wait
from streams.wire.command import ReplyTo, Request, encode_command
from streams.wire.reply import Reply, decode_reply
from tests.simulation.broker import Stored
from tests.simulation.process import START

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE_S: Final = 0.8
"""How long it waits before it asks again, at most; at least a quarter of that."""

TRIES_MAX: Final = 4
"""How often it asks before it gives up."""

TWICE_SHARE: Final = 0.05
"""Share of commands that are written twice at once."""

FORGOTTEN_SHARE: Final = 0.15
"""Share of turns in which a client writes a command once and wants no answer: nothing makes good for its loss."""

NONSENSE_SHARE: Final = 0.3
"""Share of these turns in which it also writes what is no command."""

PAUSE_S_MAX: Final = 6.0

WEIGHTS: Final = {"connect": 8, "shutdown": 3, "reload": 2, "pause": 2, "resume": 3}
"""How often each type is asked, by weight; 1 for all others, and what the world says for a status."""


class Asked(NamedTuple):
    """A command that a client wrote.

    Attributes:
        request: what it asked.
        step: when it did so first.
        sequence: how many events of the tenant counted at that moment.
    """

    request: Request
    step: int
    sequence: int


class Caller:
    """One client.

    Args:
        world: where it is.
        number: which one; it says to which partition its replies come.

    Attributes:
        waiting: what it has asked and was not told.
        answered: how many of its commands were answered.
        given_up: how many were not.
    """

    def __init__(self, world: World, number: int) -> None:
        self.waiting: Asked | None = None
        self.answered = 0
        self.given_up = 0
        self.patient = False
        self.idle = False
        self._world = world
        self._number = number
        self._asked = 0
        self._tries = 0
        self._then: Callable[[Reply], None] | None = None
        self._types = list(COMMAND_TYPES)
        weights = {**WEIGHTS, Status.type: world.shape.status_weight}
        self._weights = [weights.get(name, 1) for name in self._types]

    def __str__(self) -> str:
        return f"client {self._number}"

    def think(self) -> None:
        """Ask something a little later, unless told to be idle."""
        self._world.scheduler.after(self._world.shape.think_s * self._world.scheduler.random.random(), self._act)

    def ask(self, tenant: str, command: Command, then: Callable[[Reply], None] | None = None) -> None:
        """Ask, and go on asking until it is answered or given up."""
        self._asked += 1
        name = f"c{self._number}-{self._asked}"
        address = ReplyTo(self._world.topics.replies, self._number % self._world.partitions)
        ledger = self._world.ledger_of(tenant)
        request = Request(name, tenant, command, address)
        self.waiting = Asked(request, self._world.scheduler.steps, ledger.sequence(tenant))
        self._world.asked[name] = self.waiting
        self._then = then
        self._tries = 0
        self._write(self.waiting)

    def told(self, stored: Stored) -> None:
        """A reply was appended; if it is what this client waits for, it is read a little later."""
        if self.waiting is not None and stored.value is not None and stored.key == self.waiting.request.id.encode():
            self._world.scheduler.soon(self._read, decode_reply(stored.value))

    def _act(self) -> None:
        if self.idle or self.waiting is not None:
            return
        chance = self._world.scheduler.random
        tenant = chance.choice(self._world.tenants)
        if chance.random() < FORGOTTEN_SHARE:
            self._asked += 1
            request = Request(f"c{self._number}-{self._asked}", tenant, self._command(PauseTenant.type), None)
            self._world.scheduler.soon(self._arrive, request)
            if chance.random() < NONSENSE_SHARE:
                self._world.scheduler.soon(self._arrive_as_nonsense, tenant)
            self.think()
            return
        self.ask(tenant, self._command(chance.choices(self._types, self._weights)[0]))

    def _command(self, name: str) -> Command:
        chance = self._world.scheduler.random
        if name == Connect.type:
            wait = chance.choice([Wait.READY, Wait.READY, Wait.NO])
            return Connect(wait=wait, timeout_ms=chance.choice([0, 200, 2_000]))
        if name == PauseTenant.type:
            until = START + timedelta(seconds=self._world.scheduler.now + PAUSE_S_MAX * chance.random())
            return PauseTenant(author="ada", until=chance.choice([None, until, until]))
        if name == Shutdown.type:
            return Shutdown()
        return COMMAND_TYPES[name]()

    def _write(self, asked: Asked) -> None:
        if self.waiting is not asked:
            return
        scheduler = self._world.scheduler
        if self._tries >= TRIES_MAX and not self.patient:
            self.given_up += 1
            self.waiting = None
            self.think()
            return
        self._tries += 1
        copies = 2 if scheduler.random.random() < TWICE_SHARE else 1
        for _ in range(copies):
            scheduler.soon(self._arrive, asked.request)
        scheduler.after(PATIENCE_S * (0.25 + 0.75 * scheduler.random.random()), self._write, asked)

    def _arrive(self, request: Request) -> None:
        world = self._world
        partition = world.place_of(request.tenant)
        world.scheduler.say(f"{self} asks {request.tenant} to {request.command} as {request.id}")
        world.broker.append(world.topics.commands, partition, request.tenant.encode(), encode_command(request))

    def _arrive_as_nonsense(self, tenant: str) -> None:
        world = self._world
        nonsense = world.scheduler.random.choice(
            (b"", b"{", b'{"type":"fly"}', b'{"type":"connect","data":{"wait":1}}')
        )
        world.broker.append(world.topics.commands, world.place_of(tenant), tenant.encode(), nonsense)

    def _read(self, reply: Reply) -> None:
        asked = self.waiting
        if asked is None or reply.command != asked.request.id:
            return
        self.answered += 1
        self.waiting = None
        if self._then is not None:
            self._then(reply)
        self.think()
