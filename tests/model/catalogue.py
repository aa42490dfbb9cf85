"""All explorations: what must hold, which rules are indispensable, and which situations must occur."""

from __future__ import annotations

from typing import Final

from tests.model.exploration import Exploration, Model

PAUSES: Final = {"SCRIPT": 1}
PAUSE_AND_STATUS: Final = {"SCRIPT": 2}
USELESS_THEN_CONNECT: Final = {"SCRIPT": 3}
RETRY_OF_THE_CLIENT: Final = {"SCRIPT": 4}
CONNECT_AND_SHUTDOWN: Final = {"SCRIPT": 5, "SESSIONS": 1}
CONNECT: Final = {"SCRIPT": 6, "SESSIONS": 1}
"""Commands of an exploration; the numbers are the model's."""

ROUTED: Final = {"ROUTED": 1}
TWO_TURNS: Final = {"GENERATIONS": 2}
THREE_TURNS: Final = {"GENERATIONS": 3}
ONE_AT_A_TIME: Final = {"PIPELINE": 1, "CRASHES": 0}
GROUP_MADE_ANEW: Final = {"SCRIPT": 6, "GROUPS": 2, "CRASHES": 0, "GENERATIONS": 4}


def _ownership(title: str, sizes: dict[str, int], broken: str | None = None, *verdicts: str) -> Exploration:
    return Exploration(title, Model.OWNERSHIP, sizes, broken, frozenset(verdicts))


def _positions(title: str, sizes: dict[str, int], broken: str | None = None, *verdicts: str) -> Exploration:
    return Exploration(title, Model.POSITIONS, sizes, broken, frozenset(verdicts))


SMALL: Final = (
    _ownership("two commands that write", {**PAUSES, "GENERATIONS": 2}),
    _ownership("a command that writes and one that reads", {**PAUSE_AND_STATUS, "GENERATIONS": 2}),
    _ownership("a command that finds nothing to do, forwarded twice", {**USELESS_THEN_CONNECT, **ROUTED, **TWO_TURNS}),
    _ownership("a session opened, taken over, and closed", {**CONNECT_AND_SHUTDOWN, **TWO_TURNS}),
    _ownership("the group is made anew", {**GROUP_MADE_ANEW, "GENERATIONS": 3}),
    _ownership("recovery from snapshots", {**PAUSES, **TWO_TURNS, "SNAPSHOTS": 2}),
    _positions("rows and their resume points", {"POINTS": 2}),
)
"""Everything, in sizes that are explored within seconds."""

USUAL: Final = (
    _ownership("two commands that write", PAUSES),
    _ownership("a command that writes and one that reads", PAUSE_AND_STATUS),
    _ownership("the same, four assignments", {**PAUSE_AND_STATUS, "GENERATIONS": 4, **ONE_AT_A_TIME}),
    _ownership("a command that finds nothing to do", USELESS_THEN_CONNECT),
    _ownership("the same, forwarded twice", {**USELESS_THEN_CONNECT, **ROUTED, **TWO_TURNS}),
    _ownership("the same, three assignments", {**USELESS_THEN_CONNECT, **ROUTED, **ONE_AT_A_TIME}),
    _ownership("a client's own retry", RETRY_OF_THE_CLIENT),
    _ownership("a session opened and taken over", CONNECT),
    _ownership("a session opened, taken over, and closed", {**CONNECT_AND_SHUTDOWN, **TWO_TURNS}),
    _ownership("the same, three assignments", {**CONNECT_AND_SHUTDOWN, **ONE_AT_A_TIME}),
    _ownership("the group is made anew", GROUP_MADE_ANEW),
    _ownership("the same, one that writes and one that reads", {**GROUP_MADE_ANEW, **PAUSE_AND_STATUS, **THREE_TURNS}),
    _ownership("recovery from a snapshot", {**PAUSES, "SNAPSHOTS": 1, "PIPELINE": 1}),
    _positions("rows and their resume points", {}),
)
"""What must hold, within two minutes."""

DEEP: Final = (
    _ownership("two commands that write, two crashes", {**PAUSES, "CRASHES": 2}),
    _ownership("a command that reads, four assignments", {**PAUSE_AND_STATUS, "GENERATIONS": 4, "CRASHES": 0}),
    _ownership("forwarded twice, three assignments and a crash", {**USELESS_THEN_CONNECT, **ROUTED}),
    _ownership("a session, three assignments", {**CONNECT_AND_SHUTDOWN, "CRASHES": 0}),
    _ownership("four workers", {"SCRIPT": 6, "WORKERS": 4, "GENERATIONS": 4, "CRASHES": 0}),
    _positions("resume points of four workers", {"WORKERS": 4, "POINTS": 1}),
)
"""The same in larger sizes, within half an hour and 6 GB each."""

DOUBLED: Final = ("sequence_without_gap", "one_event_per_command", "order_of_commands")
"""What breaks first, depending on the order of looking, when a command is decided twice."""

BROKEN: Final = (
    _ownership("events count whoever wrote them", PAUSES, "NO_CLAIM", *DOUBLED),
    _ownership("claims without a generation", PAUSES, "NO_GENERATION", "no_zombie_deposes"),
    _ownership("a term raised without proof of membership", PAUSES, "NO_PROOF", "no_zombie_deposes"),
    _ownership(
        "deciding before recovery reached the claim",
        PAUSES,
        "EARLY_DECIDING",
        "acknowledged_counts",
        "one_owner_counts",
    ),
    _ownership("a reply without the contiguity check", PAUSES, "NO_CONTIGUITY", "acknowledged_counts"),
    _ownership("a status without the read index", PAUSE_AND_STATUS, "NO_READ_INDEX", "answer_is_current"),
    _ownership(
        "a reply that names the end of its proof", USELESS_THEN_CONNECT, "POSITION_OF_THE_PROOF", "position_is_covered"
    ),
    _ownership("a snapshot ahead of the log", {**PAUSES, "SNAPSHOTS": 1}, "SNAPSHOT_AHEAD", "same_fold"),
    _ownership("commits that the group does not fence", PAUSES, "UNFENCED_COMMIT", "only_the_owner_commits"),
    _ownership("redelivery without the offset memory", USELESS_THEN_CONNECT, "NO_OFFSET_MEMORY", *DOUBLED),
    _ownership("the router's redelivery without origin", {**USELESS_THEN_CONNECT, **ROUTED}, "NO_ORIGIN", *DOUBLED),
    _ownership("a client's retry without the memory of ids", RETRY_OF_THE_CLIENT, "NO_ID_MEMORY", *DOUBLED),
    _ownership("inputs with a hole", PAUSES, "INPUT_HOLE", "nothing_lost", "acknowledged_counts"),
    _ownership("an effect before the acknowledgement", CONNECT, "EFFECT_BEFORE_ACK", "no_effect_without_event"),
    _ownership("a session without the lock", CONNECT, "NO_LOCK", "one_session"),
    _ownership("closing without the lock", CONNECT_AND_SHUTDOWN, "CLOSE_WITHOUT_LOCK", "stopped_is_closed"),
    _positions("resume points without a fence", {}, "NO_FENCE", "nothing_lost"),
    _positions("a fence after streaming began", {}, "LATE_FENCE", "nothing_lost"),
    _positions("a resume point before the acknowledgement", {}, "POINT_BEFORE_ACK", "nothing_lost"),
    _positions("fences that share a key", {}, "ONE_FENCE_KEY", "nothing_lost"),
    _positions("fences removed too early", {"WORKERS": 4, "POINTS": 1}, "EAGER_REMOVAL", "nothing_lost"),
)
"""One rule left out each; each must be refuted."""


def _situation(number: int, name: str, title: str, sizes: dict[str, int]) -> Exploration:
    return _ownership(title, {**sizes, "SITUATION": number}, None, name)


SITUATIONS: Final = (
    _situation(1, "VOID_CLAIM", "an older generation claims after a newer one", PAUSES),
    _situation(2, "VOID_EVENT", "a deposed owner's event reaches the log", PAUSES),
    _situation(3, "DEPOSED", "an owner reads a newer claim back from a gap", PAUSES),
    _situation(4, "INNOCENT_GAP", "a gap that deposes nobody", PAUSES),
    _situation(5, "STALE_QUESTION", "the read index keeps an old state from being told", PAUSE_AND_STATUS),
    _situation(6, "KEPT", "a partition kept through a rebalance", PAUSES),
    _situation(7, "ANSWERED_AGAIN", "a redelivered command is answered from state", PAUSES),
    _situation(8, "LATE_FROM_THE_DEAD", "a dead worker's event arrives and counts", PAUSES),
    _situation(9, "RAISED_TERM", "a claim counts by its term", GROUP_MADE_ANEW),
    _situation(10, "TAKEN_OVER", "an older claim's session is ended", CONNECT),
    _situation(11, "ZOMBIE_SESSION", "a deposed owner opens a session", CONNECT),
    _situation(12, "DONE_BY_THE_THIRD", "the third owner has done everything", PAUSES),
)
"""What must occur, for a promise is worth nothing where it is never put to the test."""
