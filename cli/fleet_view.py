"""The fleet of a plan as grids: pool by pool, against what runs now, and node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from costplan.cli import wording
from costplan.cli.view import Column, Grid, Style
from costplan.cli.wording import counted, market_text, plain, usd, usd_column
from costplan.planner.plan import Change, Diff, PaidNodes, PricedPool, Recommendation
from costplan.planner.types import OfferKey


def fleet_grid(plan: Recommendation) -> Grid:
    """The pools of a plan, dearest together first, and their sum."""
    pools = sorted(plan.pools, key=lambda each: (-_together(each), each.pool.key))
    parts = [(pool, part) for pool in pools for part in paid_parts(plan, pool)]
    each = usd_column((part.usd_per_hour_each for _, part in parts), 4)
    beside = _beside(plan)
    together = [part.nodes * part.usd_per_hour_each for _, part in parts]
    sums = usd_column([*together, *beside.values(), plan.usd_per_hour])
    places = _places([pool.pool.key for pool, _ in parts])
    rows: list[tuple[str, ...]] = []
    last: PricedPool | None = None
    for (pool, part), place, price, amount in zip(parts, places, each, sums, strict=False):
        mark = "~" if pool.price_is_estimate and part.usd_per_hour_each else ""
        size = (pool.vcpu_each, pool.memory_bytes_each, pool.gpus_each, pool.gpu_kind)
        row = (
            market_text(pool.pool.key.market) + paid_text(part),
            plain(pool.pool.key.instance_type),
            place,
            wording.machine_text(*size),
            "" if pool is last else wording.workers_text(_workers(pool)),
            f"{part.nodes:,}",
            mark + price,
            mark + amount,
        )
        rows.append(row)
        last = pool
    for name, amount in zip(beside, sums[len(parts) :], strict=False):
        rows.append(("", name, "", "", "", "", "", amount))
    mark = "~" if any(pool.price_is_estimate for pool in pools) else ""
    nodes = sum(pool.pool.nodes for pool in pools)
    workers = sum(count for pool in pools for count in _workers(pool).values())
    total = ("", "", "", "", counted(workers, "worker"), f"{nodes:,}", "", mark + sums[-1])
    return Grid(
        columns=(
            Column(head="market"),
            Column(head="type"),
            Column(head="zone" if _is_one_region(plan) else "place", under="type"),
            Column(head="machine", optional=True),
            Column(head="workers", split=True),
            Column(head="nodes", is_number=True),
            Column(head="$/h each", is_number=True),
            Column(head="$/h", is_number=True),
        ),
        rows=(*rows, total),
        styles=(*(_STYLES[-1] for _ in rows), "strong"),
    )


def paid_parts(plan: Recommendation, pool: PricedPool) -> tuple[PaidNodes, ...]:
    """The nodes of a pool by what pays for them."""
    if plan.held is not None and (parts := plan.held.of(pool.pool.key)):
        return parts
    return (
        PaidNodes(
            key=pool.pool.key,
            nodes=pool.pool.nodes,
            commitments=(),
            is_whole=False,
            usd_per_hour_each=pool.pool.usd_per_hour_each,
        ),
    )


def paid_text(part: PaidNodes) -> str:
    """' (paid by ri-1)', ' (paid in part by ri-1 and sp)', '' where nothing held pays."""
    if not part.commitments:
        return ""
    names = " and ".join(map(plain, part.commitments))
    return f" (paid by {names})" if part.is_whole else f" (paid in part by {names})"


def _beside(plan: Recommendation) -> dict[str, Decimal]:
    """What is billed an hour beside machines, by name."""
    place = plan.place
    if place is None:
        return {}
    found = {
        "root disks": place.disks_usd_per_hour,
        "addresses": place.addresses_usd_per_hour,
        "traffic": place.traffic_usd_per_hour,
    }
    return {name: amount for name, amount in found.items() if amount}


def diff_grid(plan: Recommendation, diff: Diff) -> Grid:
    """What to add (+), change (~), drop (-) and keep, with nodes and dollars before and after."""
    changes = sorted(diff.changes, key=lambda each: (_order(each), each.key))
    each = usd_column((change.usd_per_hour_each for change in changes), 4)
    paid = plan.held.saved_usd_per_hour if plan.held is not None else Decimal(0)
    before = usd_column([*(_cost(c, c.nodes_now) for c in changes), diff.usd_per_hour_now])
    after = usd_column([*(_cost(c, c.nodes_planned) for c in changes), -paid, plan.usd_per_hour])
    places = _places([change.key for change in changes])
    rows = []
    for index, change in enumerate(changes):
        mark = "~" if change.price_is_estimate else ""
        row = (
            _SIGNS[_order(change)],
            market_text(change.key.market),
            plain(change.key.instance_type),
            places[index],
            f"{change.nodes_now:,}",
            f"{change.nodes_planned:,}",
            mark + each[index],
            (mark + before[index]) if change.nodes_now else "",
            (mark + after[index]) if change.nodes_planned else "",
        )
        rows.append(row)
    if paid:
        rows.append(("", "", "paid by commitments", "", "", "", "", "", after[-2]))
    now, planned = (sum(c.nodes_now for c in changes), sum(c.nodes_planned for c in changes))
    estimated = [change for change in changes if change.price_is_estimate]
    ran = "~" if any(c.nodes_now for c in estimated) and diff.usd_per_hour_now is not None else ""
    mark = "~" if any(c.nodes_planned for c in estimated) else ""
    total = ("", "", "", "", f"{now:,}", f"{planned:,}", "", ran + before[-1], mark + after[-1])
    return Grid(
        columns=(
            Column(head=""),
            Column(head="market"),
            Column(head="type"),
            Column(head="place", under="type"),
            Column(head="now", is_number=True),
            Column(head="plan", is_number=True),
            Column(head="$/h each", is_number=True),
            Column(head="$/h now", is_number=True),
            Column(head="$/h plan", is_number=True),
        ),
        rows=(*rows, total),
        styles=(
            *(_STYLES[_order(change)] for change in changes),
            *(("quiet",) if paid else ()),
            "strong",
        ),
    )


def diff_lines(plan: Recommendation, diff: Diff) -> Iterable[str]:
    """How much there is to do, and what it changes an hour."""
    if diff.is_empty:
        yield "No changes: this is what runs now"
    else:
        pools = Counter(map(_order, diff.changes))
        more = sum(max(c.nodes_planned - c.nodes_now, 0) for c in diff.changes)
        less = sum(max(c.nodes_now - c.nodes_planned, 0) for c in diff.changes)
        kept = f", {pools[3]} to keep" if pools[3] else ""
        yield (
            f"Pools: {pools[0]} to add (+), {pools[1]} to change (~), {pools[2]} to drop (-)"
            f"{kept}; +{more:,} and -{less:,} nodes"
        )
    if diff.unpriced:
        named = ", ".join(wording.offer_text(key) for key in sorted(diff.unpriced)[:3])
        others = len(diff.unpriced) - 3
        rest = f" and {others} more" if others > 0 else ""
        yield f"What runs now is not all in the price list: {named}{rest}"
    now, planned = diff.usd_per_hour_now, plan.usd_per_hour
    if now is not None and not diff.is_empty:
        sign = "+" if planned >= now else ""
        change = f" ({sign}{wording.percent((planned - now) / now)})" if now else ""
        yield f"{usd(now)}/h now, {usd(planned)}/h planned: {sign}{usd(planned - now)}/h{change}"
        if _beside(plan):
            yield f"both with {', '.join(_beside(plan))}"


def packing_grid(plan: Recommendation) -> Grid:
    """Which workers share a node, pool by pool."""
    rows = []
    keys: list[OfferKey] = []
    for pool in sorted(plan.pools, key=lambda each: each.pool.key):
        packings = sorted(pool.pool.packings, key=lambda p: (-p.nodes, sorted(p.workers.items())))
        for packing in packings:
            keys.append(pool.pool.key)
            each = sorted(packing.workers.items(), key=lambda item: (-item[1], item[0]))
            workers = ", ".join(f"{count:,} {plain(name)}" for name, count in each if count)
            hazard = f"{pool.hazard_per_hour:.2g}" if pool.hazard_per_hour else ""
            assumed = " assumed" if hazard and pool.hazard_assumed else ""
            market = market_text(pool.pool.key.market)
            kind = plain(pool.pool.key.instance_type)
            rows.append((market, kind, f"{packing.nodes:,}", workers, hazard + assumed))
    placed = zip(rows, _places(keys), strict=True)
    return Grid(
        columns=(
            Column(head="market"),
            Column(head="type"),
            Column(head="place", under="type"),
            Column(head="nodes", is_number=True),
            Column(head="workers on each", split=True),
            Column(head="hazard/h", is_number=True, optional=True),
        ),
        rows=tuple((row[0], row[1], place, *row[2:]) for row, place in placed),
        styles=tuple(_STYLES[-1] for _ in rows),
    )


_SIGNS = ("+", "~", "-", "")
_STYLES: tuple[Style, ...] = ("add", "change", "drop", "plain")


def _order(change: Change) -> int:
    """0 to add, 1 to change, 2 to drop, 3 to keep."""
    if change.nodes_now == change.nodes_planned:
        return 3
    if not change.nodes_now:
        return 0
    return 1 if change.nodes_planned else 2


def _cost(change: Change, nodes: int) -> Decimal | None:
    each = change.usd_per_hour_each
    return None if each is None else each * nodes


def _together(pool: PricedPool) -> Decimal:
    return pool.pool.usd_per_hour_each * pool.pool.nodes


def _workers(pool: PricedPool) -> Counter[str]:
    workers: Counter[str] = Counter()
    for packing in pool.pool.packings:
        for name, count in packing.workers.items():
            workers[name] += count * packing.nodes
    return workers


def _regions(keys: Iterable[OfferKey]) -> set[tuple[str, str]]:
    return {(key.provider, key.region) for key in keys}


def _is_one_region(plan: Recommendation) -> bool:
    return len(_regions(pool.pool.key for pool in plan.pools)) <= 1


def _places(keys: list[OfferKey]) -> list[str]:
    """Zones where all keys are of one region, otherwise with their clouds."""
    if len(_regions(keys)) > 1:
        return [wording.place_text(key) for key in keys]
    return [plain(key.zone) or "any" for key in keys]
