"""What came of it: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from statistics import median
from typing import Any, Final

from rich.table import Table

from tests.bench.measure import Rate
from tests.bench.rounds import Measured
from tests.bench.workload import Workload

Round = dict[Measured, Rate]

COMPARED: Final = (
    (Measured.DIRECT, Measured.STOCK, "commands/s, direct"),
    (Measured.ROUTED, Measured.STOCK, "commands/s, routed"),
    (Measured.REBUILD, Measured.STOCK_REBUILD, "rebuild, events/s"),
)
"""What is set beside what, and how it is called."""

LIBRARIES: Final = ("faust-streaming", "aiokafka", "confluent-kafka", "msgspec", "pydantic")


def table(rounds: Sequence[Round]) -> Table:
    """Medians side by side, with the slowest and the fastest round."""
    made = Table(title=f"Medians of {len(rounds)} rounds")
    for column in ("what", "ours", "stock Faust", "ratio", "CPU µs, ours", "stock"):
        made.add_column(column, justify="left" if column == "what" else "right")
    for ours, stock, name in COMPARED:
        made.add_row(
            name,
            _spread(_per_second(rounds, ours)),
            _spread(_per_second(rounds, stock)),
            f"{_ratio(rounds, ours, stock):.1f}x",
            f"{_cpu(rounds, ours):.1f}",
            f"{_cpu(rounds, stock):.1f}",
        )
    return made


def document(
    rounds: Sequence[Round], workload: Workload, stock_workload: Workload, load_before: float
) -> dict[str, Any]:
    """Everything, for a JSON file: the machine, each round, medians, ratios.

    Args:
        rounds: what was measured.
        workload: what the service was given.
        stock_workload: what the Faust application was given.
        load_before: load average of the machine before the first round: what else ran.
    """
    return {
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load_before": load_before,
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        "workload": workload._asdict(),
        "stock_workload": stock_workload._asdict(),
        "rounds": [{what.name.lower(): _figures(rate) for what, rate in each.items()} for each in rounds],
        "medians_per_second": {what.name.lower(): round(median(_per_second(rounds, what))) for what in Measured},
        "medians_cpu_microseconds": {what.name.lower(): round(_cpu(rounds, what), 2) for what in Measured},
        "ratios": {ours.name.lower(): round(_ratio(rounds, ours, stock), 2) for ours, stock, _ in COMPARED},
    }


def profile_table(title: str, samples: dict[str, dict[str, int]], records: int, rows: int) -> Table:
    """The functions that used most, by themselves and with what they called, in microseconds per record."""
    total = sum(samples["own"].values())
    made = Table(title=f"{title}: {total / records:.1f} µs of CPU per record")
    for column in ("itself", "µs", "with all it calls", "µs "):
        made.add_column(column, justify="right" if column.strip() == "µs" else "left", overflow="fold")
    for own, within in zip(_top(samples["own"], rows), _top(samples["within"], rows), strict=False):
        made.add_row(own[0], f"{own[1] / records:.2f}", within[0], f"{within[1] / records:.2f}")
    return made


def _top(found: dict[str, int], rows: int) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda item: -item[1])[:rows]


def _per_second(rounds: Sequence[Round], what: Measured) -> list[float]:
    return [each[what].per_second for each in rounds]


def _cpu(rounds: Sequence[Round], what: Measured) -> float:
    return median(each[what].cpu_microseconds for each in rounds)


def _ratio(rounds: Sequence[Round], ours: Measured, stock: Measured) -> float:
    return median(_per_second(rounds, ours)) / median(_per_second(rounds, stock))


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):,.0f}\n({min(values):,.0f}-{max(values):,.0f})"


def _figures(rate: Rate) -> dict[str, float]:
    return {**rate._asdict(), "per_second": rate.per_second, "cpu_microseconds": rate.cpu_microseconds}
