"""The demonstration from beginning to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Final

from streams.client.client import ConnectClient
from streams.demo.narrator import Narrator
from streams.demo.story import Story, prepare
from streams.demo.surroundings import Surroundings, surroundings
from streams.demo.tidying import remove_topics
from streams.settings import Settings
from streams.terminal.output import Output
from streams.terminal.signals import Terminated, terminate_on

ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


def run_demo(given: Settings, environ: Mapping[str, str], flags: Mapping[str, str], output: Output) -> None:
    """Show the demonstration; whatever it starts is stopped at the end, also after a failure or a signal.

    Args:
        given: settings as the command got them.
        environ: the environment that they were read from.
        flags: the flags that they were read from.
        output: where it is shown.

    Raises:
        PrerequisiteMissing: there is neither Java nor Docker, nor was a broker named.
        TenantConnectError: a part of it failed; the message says where its log is.
        Terminated: SIGTERM or SIGHUP came.
    """
    terminate_on(*ENDING_SIGNALS)
    narrator = Narrator(output)
    narrator.section("A broker and a database server")
    narrator.say(
        "tenant-connect owns the database connection of every tenant of a realtime platform. You will see two of its "
        "workers connect three tenants, one worker die, and the other one take over."
    )
    with surroundings(given, environ, flags, narrator.say) as place:
        prepare(place, narrator)
        try:
            _run(place, narrator)
        finally:
            if place.shared_broker:
                narrator.say(f"Removed {remove_topics(place.settings)} topics from the broker again.")
    narrator.say("Nothing of it is left running, and nothing on disk.")


def _run(place: Surroundings, narrator: Narrator) -> None:
    received: list[signal.Signals] = []
    try:
        asyncio.run(_tell(place, narrator, received))
    except asyncio.CancelledError:
        raise Terminated(received[0]) from None


async def _tell(place: Surroundings, narrator: Narrator, received: list[signal.Signals]) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    # As Ctrl-C does: the story is cancelled, and cleans up in its own order before the servers go.
    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, end, number)
    async with ConnectClient(place.settings) as client:
        await Story(place, narrator, client).tell()
