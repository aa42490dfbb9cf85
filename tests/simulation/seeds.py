"""Seeds that found something, as (seed, steps, what it found). They run with every change.

A seed leads to the same run only as long as the code does the same; afterwards it is one seed more. What was found has
tests of its own where it was mended.
"""

from __future__ import annotations

from typing import Final

SEEDS: Final = (
    (2, 1_000, "an answer's position was ahead of the state that it showed"),
    (27, 4_500, "a worker that was frozen while it proved its membership ended without a code"),
    (100, 6_000, "a worker that started stopped a tenant because of a catalog entry that was over"),
    (158, 6_000, "an owner deposed while the group was made anew kept its partition and served nobody"),
    (92, 6_000, "the same, found by an effect: nobody was told that the partition was lost"),
    (57, 6_000, "a cancellation that was swallowed left a tenant stopping for ever"),
    (114, 6_000, "a worker that had not read the catalog yet said that a tenant did not exist"),
)
