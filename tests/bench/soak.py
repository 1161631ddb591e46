"""Fault campaigns by the thousand, or one of them again.

make soak                                           10,000 worlds
python -m tests.bench.soak --seed 123               one world, with all that happens in it
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.sim.seeded import world


def one(seed: int) -> tuple[int, Counter[str], str]:
    """The counts of a world and what broke, '' where nothing did."""
    try:
        return seed, world(seed), ""
    except Exception as error:
        return seed, Counter(), f"{type(error).__name__}: {error}"


def main() -> int:
    """Many worlds, or one again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--seed", type=int, help="this world only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.worlds)
    if chosen.seed is not None:
        _, counts, broken = one(chosen.seed)
        print(broken or f"world {chosen.seed} is well: {dict(sorted(counts.items()))}")
        return int(bool(broken))
    start, total, bad = time.monotonic(), Counter[str](), []
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for number, (seed, counts, broken) in enumerate(pool.map(one, seeds, chunksize=8), 1):
            total += counts
            if broken:
                bad.append(seed)
                print(f"seed {seed}: {broken}", flush=True)
            if number % 500 == 0:
                spent = time.monotonic() - start
                print(f"{number:,} worlds, {len(bad)} broken, {spent:.0f} s", flush=True)
    spent = time.monotonic() - start
    print(f"{len(seeds):,} worlds, {len(bad)} broken, {spent:.0f} s; {dict(sorted(total.items()))}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
