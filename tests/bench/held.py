"""How long planning with commitments takes beside planning without, and how near to the proof.

    python -m tests.bench.held

Twenty commitments of the three clouds, with rates of their plans, on the whole real price list.
Seconds are for the same 760 workers, and the ratio is of the two beside each other.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.commitments.values import Commitment, Kind, Product
from costplan.planner.held.values import Held, MachineRate
from costplan.planner.optimize.offers import candidates
from costplan.planner.optimize.problem import build
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.types import Market, Resources, WorkerShape
from costplan.planner.units import GIB, PICO_PER_USD
from costplan.planner.workload import MarketRules, Where, Workload
from tests.bench.instances import DataAbsent, price_list

SHARES = {
    "aws": {"compute_sp_1y": "0.72", "compute_sp_3y": "0.5", "ec2_instance_sp_1y": "0.62"},
    "azure": {"azure_savings_plan_1y": "0.75"},
}
"""What plans take of the price on demand: made up, about what providers advertise."""
WORKERS = (("features", 400, 4000, 14), ("train", 60, 8000, 60), ("small", 300, 1000, 3))
PLACES = (
    ("one region", Where(), MarketRules()),
    ("any mix of regions", Where(single_region=False), MarketRules()),
    (
        "the same, with caps",
        Where(single_region=False),
        MarketRules(spot_max_share=0.7, pool_max_share=0.3, on_demand_base_vcpu_milli=200_000),
    ),
)


def commitments() -> tuple[Commitment, ...]:
    """Six kinds of reserved instances, two plans of families and two of all machines, resources of
    Google Cloud in two regions and two flexible plans, and three of Azure."""
    found = [
        _machines(Kind.REGIONAL_RI, name, region, count)
        for name, region, count in (
            ("m5.2xlarge", "us-east-1", 40), ("m5.4xlarge", "us-east-1", 10),
            ("c5.4xlarge", "us-east-1", 12), ("r5.2xlarge", "us-east-1", 20),
            ("m6i.4xlarge", "us-west-2", 30), ("c6i.8xlarge", "eu-west-1", 8),
        )
    ]  # fmt: skip
    zonal = _machines(Kind.ZONAL_RI, "m5.8xlarge", "us-east-1", 5)
    found.append(replace(zonal, product=replace(zonal.product, zone="us-east-1a")))
    for region in ("us-central1", "europe-west1"):
        for part, amount in (("vcpu", 128), ("memory", 512)):
            product = Product(provider="gcp", region=region, machine_series="n2", resource=part)
            found.append(_bought(Kind.RESOURCE_CUD, product, count=Fraction(amount)))
    found += [
        _plan(Kind.COMPUTE_SP, "12.5", "1y"),
        _plan(Kind.COMPUTE_SP, "6", "3y"),
        _plan(Kind.EC2_INSTANCE_SP, "3", "1y", region="us-east-1", family="m5"),
        _plan(Kind.EC2_INSTANCE_SP, "2", "1y", region="us-east-1", family="c5"),
        replace(_plan(Kind.FLEXIBLE_CUD, "5", "1y"), discount=Fraction(28, 100)),
        replace(_plan(Kind.FLEXIBLE_CUD, "5", "3y"), discount=Fraction(46, 100)),
        _machines(Kind.AZURE_RESERVATION, "Standard_D8s_v3", "eastus", 10),
        _machines(Kind.AZURE_RESERVATION, "Standard_E8s_v3", "westeurope", 10),
        _plan(Kind.AZURE_SAVINGS_PLAN, "4", "1y"),
    ]
    return tuple(replace(each, commitment_id=f"c{place}") for place, each in enumerate(found))


def _bought(kind: Kind, product: Product, **more: Fraction) -> Commitment:
    return Commitment(commitment_id="", kind=kind, product=product, **more)


def _machines(kind: Kind, name: str, region: str, count: int) -> Commitment:
    provider = "azure" if kind is Kind.AZURE_RESERVATION else "aws"
    service = "virtual-machines" if provider == "azure" else "ec2"
    product = Product(provider=provider, service=service, region=region, instance_type=name)
    return _bought(kind, product, count=Fraction(count))


def _plan(kind: Kind, usd: str, term: str, region: str = "", family: str = "") -> Commitment:
    provider = {Kind.FLEXIBLE_CUD: "gcp", Kind.AZURE_SAVINGS_PLAN: "azure"}.get(kind, "aws")
    product = Product(provider=provider, region=region, family=family)
    return replace(_bought(kind, product, usd_per_hour=Fraction(usd)), term=term)


def rates(prices: Catalogue) -> tuple[MachineRate, ...]:
    """Rates of every type on demand of AWS and Azure."""
    firm = np.flatnonzero(prices.market == MARKETS.index(Market.ON_DEMAND))
    found = {}
    for row in firm.tolist():
        provider = prices.provider[row]
        shares = SHARES.get(provider)
        key = (provider, prices.instance_type[row], prices.region[row])
        if shares is not None and key not in found:
            usd = Fraction(int(prices.price_pico[row]), PICO_PER_USD)
            found[key] = MachineRate(
                provider=provider,
                instance_type=key[1],
                region=key[2],
                rates={kind: usd * Fraction(share) for kind, share in shares.items()},
            )
    return tuple(found.values())


def measure(prices: Catalogue, wanted: Workload) -> tuple[Solution, float, float]:
    """The solution, and seconds of making the problem and of solving it."""
    begun = time.perf_counter()
    problem = build(prices, candidates(prices, wanted), wanted)
    built = time.perf_counter()
    solution = solve(problem)
    if solution is None:
        raise RuntimeError("no fleet was found")
    return solution, built - begun, time.perf_counter() - built


def main() -> int:
    """Prints a line for each place and whether anything is held."""
    try:
        prices = price_list()
    except DataAbsent as error:
        print(error)
        return 0
    shapes = tuple(
        WorkerShape(name=name, count=count, need=Resources(vcpu_milli=cpu, memory_bytes=gib * GIB))
        for name, count, cpu, gib in WORKERS
    )
    held = Held(commitments=commitments(), rates=rates(prices))
    print(f"{len(held.commitments)} commitments, {len(prices):,} offers")
    for name, where, market in PLACES:
        bare = Workload(name="bench", shapes=shapes, where=where, market=market)
        before = 0.0
        for what, wanted in (("without", bare), ("with", replace(bare, held=held))):
            solution, made, solved = measure(prices, wanted)
            ratio = f"  {(made + solved) / before:.1f} x" if before else ""
            before = before or made + solved
            gap = f"{solution.gap:.2%}" if solution.bound else "all paid"
            print(
                f"{name:<20} {what:<8} {solution.problem.offers:>8,} offers  "
                f"${solution.fleet.cost:8.4f}/h  gap {gap:>8}  made {made:5.2f} s, "
                f"solved {solved:6.2f} s{ratio}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
