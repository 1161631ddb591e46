"""A fault campaign: a world in which troubles of all kinds come in any order.

    python -m tests.bench.soak --seed 123               one world again, step by step

A campaign is a world with the real loop in it and a real store under it, and moves that a test
makes: work comes, time passes, something goes wrong. After each tick it is looked at what must
never happen; in the end all troubles stop, and the fleet has to become what is wanted, within
five plans, and stay so.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from costplan.adapters.sim.drains import Network
from costplan.adapters.sim.drive import Crash, Driver, Ticked
from costplan.adapters.sim.faults import Fault, Faults, rates
from costplan.adapters.sim.machines import Fates, Machine
from costplan.adapters.sim.provider import SimProvider
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.store import store as store_module
from costplan.planner.asked import STEP_SECONDS
from costplan.planner.nodes import Cause, Notice
from costplan.planner.settings import Settings
from costplan.planner.standing import is_staying, workers_by_kind
from costplan.planner.tick import DrainNode, DrainRequest, MovePlan, NewNode
from costplan.planner.types import Phase
from tests.sim.checks import Safety, ledger_against_bill, left_cordoned, orphans, unwritten
from tests.sim.kept import Kept
from tests.sim.loops import SETTINGS, driver_of, with_budget, with_floor, world_of
from tests.sim.scenes import key, request
from tests.sim.wrong import Trouble, Wrong

EVERY_SECONDS = 10.0
SETTLES = 14
SETTLE_SECONDS = 30.0
"""Ticks, and the time between them, in which what was under way when the troubles stopped comes to
its end: the longest of it, a machine that hangs, is missed after 300 s."""
PLAN_SECONDS, TICKS_A_PLAN = 60.0, 3
QUIET_SECONDS = PLAN_SECONDS / TICKS_A_PLAN
"""Between ticks once all is well: nobody is waited for but machines that boot or leave."""
PLANS = 5
"""So many plans after the last trouble the fleet is what is wanted."""
STAYS = 5
"""And it stays so for as many more, once what is foretold is at rest, too."""
LEARNS_SECONDS = 2.0 * STEP_SECONDS
"""From when work begins until the outlook has seen it for a whole step of its own."""
TASKS_A_WORKER = 140
"""Of 30 s on 4 threads: work for longer than all this takes."""
MOST_WORKERS = 24
KEEPS_SECONDS = 300.0
"""So long after the last one a client still wants its results: the fleet shrinks round them."""
LONGEST_SECONDS = 2 * 3600.0
STEPS = (
    "tick.before_commit", "store.commit.before", "store.commit.in", "store.commit.after",
    "tick.after_commit", "launch.before", "launch.after", "cordon.after", "retire.before",
    "retire.after", "terminate.before", "terminate.after", "tick.after_actions",
)  # fmt: skip
SLOW = Network(bytes_per_second=25e6)
"""What a worker holds alone takes longer to copy than a tick: who does not wait loses it."""
NONSENSE = (Decimal("1e-6"), Decimal(1000))
"""What a price is multiplied by where a feed is out of its mind."""


class Campaign:
    """One world; its methods are what may happen in it."""

    def __init__(self, seed: int, folder: Path, *, budget: str = "", floor: int = 0) -> None:
        self.settings = _settings(budget, floor)
        self.seed, self.floor = seed, floor
        self.world = world_of(
            seed,
            fates=Fates(boot_seconds=30.0, boot_spread=0.2),
            faults=Faults(seed=seed),
            is_moving=False,
            network=SLOW,
        )
        # Who is away for long learns of ends that are listed for longer.
        self.world.cloud.account = replace(self.world.cloud.account, ended_listed_seconds=86400.0)
        self.kept = Kept(folder / "store.db", self.world.clock)
        self.safety = Safety(self.settings)
        self.trouble = Trouble()
        self.done: list[str] = []
        self.counts: Counter[str] = Counter()
        self.deadly = ""
        self.strangers: list[Machine] = []
        self.jobs: list[int] = []
        self.driver = self._born()

    # What happens.

    def work(
        self, tasks: int, seconds: float, result_mib: int, *, keeps_seconds: float | None = None
    ) -> None:
        """A client comes with a map and a reduction. It may keep the map's results for so long
        after the last one: workers hold them alone, and have nothing else to do."""
        keeps = keeps_seconds is not None
        stages = (
            Stage(prefix="map", tasks=tasks, seconds=seconds, spread=0.3,
                  result_bytes=result_mib * 2**20, kept=keeps),
            Stage(prefix="reduce", tasks=max(1, tasks // 10), seconds=seconds / 2, after=(0,)),
        )  # fmt: skip
        kept = f", kept for {keeps_seconds:.0f} s" if keeps else ""
        self._note(f"work {tasks} x {seconds:.0f} s, {result_mib} MiB each{kept}", "jobs")
        job = Job(name=f"job-{len(self.done)}", stages=stages, stays_seconds=keeps_seconds or 0.0)
        self.jobs.append(self.world.cluster.submit(job))

    def pass_time(self, ticks: int) -> None:
        """So many ticks."""
        self._note(f"{ticks} ticks", "spells")
        for _ in range(ticks):
            self._tick()
            self.world.clock.advance(EVERY_SECONDS)

    def answer(self, verb: str, fault: Fault, times: int) -> None:
        """The next calls of a verb come to this."""
        self._note(f"{verb}: {fault}, {times} times", "answers")
        self.world.provider.faults.script(verb, *[fault] * times)

    def bad_line(self, share: float) -> None:
        """From now on such a share of all calls goes wrong."""
        self._note(f"{share:.0%} of calls go wrong", "bad lines")
        self.world.provider.faults.rates = rates(share, share, share / 3) | {"quotes": {}}

    def die(self, step: str) -> None:
        """The daemon dies when it next passes a step, and is born again."""
        self._note(f"dies at {step}", "deaths asked")
        self.deadly = step

    def sleep(self, seconds: float) -> None:
        """The daemon's computer is suspended: time passes, and nobody looks."""
        self._note(f"asleep for {seconds:.0f} s", "sleeps")
        self.world.clock.advance(seconds)

    def skew_clock(self, seconds: float) -> None:
        """The daemon's clock is wrong by so much, until it is set right."""
        self._note(f"clock is wrong by {seconds:.0f} s", "wrong clocks")
        self.trouble.skew = timedelta(seconds=seconds)

    def set_clock(self) -> None:
        """The daemon's clock is right again."""
        self._note("clock is set right", "clocks set")
        self.trouble.skew = timedelta(0)

    def notice(self, kind: str, in_seconds: float, dice: random.Random) -> None:
        """A machine gets a notice: it is taken, or ('false') is not."""
        alive = self._alive()
        if not alive:
            return
        machine = dice.choice(alive)
        self._note(
            f"{kind} notice of {machine.machine_id} in {in_seconds:.0f} s", f"{kind} notices"
        )
        if kind == "false":
            self.trouble.notices = [self._notice(machine.machine_id, in_seconds)]
        else:
            self.world.cloud.interrupt(machine.machine_id, in_seconds, kind)

    def late_notice(self, dice: random.Random) -> None:
        """A notice of a machine that has ended, or never was ours."""
        ended = [m.machine_id for m in self.world.cloud.machines() if m.ended is not None]
        name = dice.choice([*ended, "sim-nobodys", *(m.machine_id for m in self.strangers)])
        self._note(f"late notice of {name}", "late notices")
        self.trouble.notices = [self._notice(name, -60.0)]

    def lose(self, how: str, dice: random.Random) -> None:
        """A machine is taken, fails, or hangs, without a word."""
        alive = self._alive()
        if alive:
            machine = dice.choice(alive)
            self._note(f"{how} {machine.machine_id}", "losses")
            getattr(self.world.cloud, how)(machine.machine_id)

    def stranger(self) -> None:
        """Somebody else launches a machine that looks like one of ours."""
        number = 900 + len(self.strangers)
        other = SimProvider(self.world.cloud, cluster="other", faults=Faults(seed=self.seed))
        self._note("a stranger's machine", "strangers")
        other.launch(request(number, cluster="other", keys=(key(),)))
        self.strangers.append(self.world.cloud.machines()[-1])

    def prices(self, how: str, dice: random.Random) -> None:
        """The price feed says nonsense, nothing, or the truth again."""
        self._note(f"prices: {how}")
        self.trouble.prices = dice.choice(NONSENSE) if how == "nonsense" else None
        self.trouble.without_prices = how == "nothing"

    def scheduler(self, how: str, seconds: float) -> None:
        """The scheduler is away, says the same for too long, or is born again."""
        if how == "stale" and self.world.cluster.is_away:
            return
        self._note(f"scheduler: {how} for {seconds:.0f} s", "scheduler")
        getattr(self.world.cluster, how)(seconds)

    def operator(self, says: str, dice: random.Random) -> None:
        """An operator pauses, lets go on, or wants a machine drained."""
        self._note(f"operator: {says}")
        store = self.kept.store
        match says:
            case "pause":
                store.pause(self.world.clock() + timedelta(seconds=120))
            case "resume":
                store.resume()
            case "drain":
                ready = [n.node_id for n in self.kept.load().nodes.values() if n.phase == "ready"]
                if ready:
                    now = self.world.clock()
                    store.request_drain(DrainRequest(node_id=dice.choice(ready), requested_at=now))
            case _:
                raise AssertionError(says)

    # The end.

    def recover(self) -> None:
        """All troubles stop. The fleet becomes what steady work asks for, and stays so; then the
        work ends, and nothing is left that nobody wants."""
        self._note("all is well again", "worlds")
        self.trouble = Trouble()
        self.driver.trouble = self.trouble  # type: ignore[attr-defined]
        self.deadly = ""
        self.world.provider.faults.stop()
        self.world.cloud.takes_machines = False
        self.kept.store.resume()
        self.kept.store.clear_drains(list(self.kept.load().nodes))
        # Answers that were under way arrive, a scheduler that was away is back, machines that have
        # notice are taken, and those that hang are missed.
        for _ in range(SETTLES):
            self._tick()
            self.world.clock.advance(SETTLE_SECONDS)
        self._until(lambda: not self._is_unsettled(), "what was under way is settled")
        tasks = MOST_WORKERS * TASKS_A_WORKER
        self.work(tasks=tasks, seconds=30.0, result_mib=8, keeps_seconds=KEEPS_SECONDS)
        self._rests()
        self._ends()
        self.finish()

    def _rests(self) -> None:
        """Within so many plans the fleet is what the work asks for, and once that is foretold to
        go on, no plan wants another."""
        learnt_at = self.world.clock.seconds + LEARNS_SECONDS
        for _ in range(PLANS):
            self._plan()
        if not self._is_as_planned():
            self._broken(f"after {PLANS} plans {self._fleet()} is not what is wanted")
        self.safety.broken += left_cordoned(self.world, self.kept.load().nodes.values())
        self._learns(learnt_at)
        for _ in range(STAYS):
            done = self._tick(replan=True)
            moves = () if done is None or done.plan is None else done.plan.moves
            if any(isinstance(move, NewNode | DrainNode) for move in moves):
                self._broken(f"the fleet does not stay as it is: {moves}")
            self.world.clock.advance(PLAN_SECONDS)

    def _learns(self, until_seconds: float) -> None:
        """The outlook is of means of the last minutes, so that it is foretold by and by that the
        work goes on, and an exchange may pay that did not pay for less of it. What came in exchange
        stays, and where a budget keeps some of the work waiting, what an exchange saves of it buys
        more. Nothing else happens."""
        there = self.kept.load().nodes.keys()
        while self.world.clock.seconds < until_seconds:
            done = self._tick(replan=True)
            for move in () if done is None or done.plan is None else done.plan.moves:
                if isinstance(move, NewNode):
                    is_exchange = bool(move.replaces) or _is_short(done.plan)
                else:
                    is_exchange = move.cause is Cause.DEARER and move.node_id in there
                if not is_exchange:
                    self._broken(f"the fleet was what is wanted, and this is no exchange: {move}")
            self.world.clock.advance(PLAN_SECONDS)

    def _ends(self) -> None:
        """The work ends, and nothing is left that nobody wants: of three worlds it is done in one,
        in the others its clients leave, and in the last an operator lets the fleet go besides."""
        how = self.seed % 3
        if how:
            for job in self.jobs:
                self.world.cluster.leave(job)
        if how == 2:
            self.kept.store.request_down()
        self._until(lambda: not self.world.cluster.open_jobs, "all work is done")
        stays = 0 if how == 2 else self.floor
        self._until(lambda: len(self._alive()) <= stays, "nothing is left")
        self._plan()
        self._until(
            lambda: not self._is_unsettled() and not self._is_leaving(), "the last is heard"
        )
        kept = workers_by_kind(n for n in self.kept.load().nodes.values() if is_staying(n))
        if kept["worker"] < stays:
            self._broken(f"{kept['worker']} workers stay of {stays} that are always kept")

    def finish(self) -> None:
        """What must be true of any world, whenever it is left."""
        nodes, entries = self.kept.load().nodes.values(), self.kept.store.entries()
        ended = [m for m in self.world.cloud.machines() if m.request.cluster == "sim"]
        self.safety.broken += [
            text
            for text in ledger_against_bill(self.world, entries)
            if not any(m.request.node_id in text for m in self.strangers)
            and not any(m.ended is None and m.request.node_id in text for m in ended)
        ]
        self.safety.broken += [
            f"{name} is nobody's"
            for name in orphans(self.world, nodes)
            if name not in {m.machine_id for m in self.strangers}
        ]
        self.safety.broken += [
            f"{m.machine_id} of somebody else was ended"
            for m in self.strangers
            if m.ended is not None
        ]
        self.check()

    def check(self) -> None:
        """Raises AssertionError, with all that happened, where something is broken."""
        if self.safety.broken:
            story = "\n".join(f"  {line}" for line in self.done)
            broken = "\n".join(f"  {line}" for line in self.safety.broken[:10])
            raise AssertionError(
                f"world {self.seed}:\n{story}\nbroken:\n{broken}\n"
                f"again: python -m tests.bench.soak --seed {self.seed}"
            )

    def close(self) -> None:
        """Lets go of the store."""
        self.kept.close()

    # Inside.

    def _born(self) -> Driver:
        plain = driver_of(self.world, self.settings, self.kept, self._passes)
        driver = Wrong(
            plain.world, plain.tick, plain.settings, plain.policies, plain.record,
            passing=self._passes,
        )  # fmt: skip
        driver.trouble = self.trouble
        driver.foreteller = self.kept.foreteller(self.settings)
        driver.checks.append(self.safety)
        return driver

    def _passes(self, step: str) -> None:
        if self.deadly == step:
            self.deadly = ""
            self.counts["deaths"] += 1
            raise Crash(step)

    def _tick(self, *, replan: bool = False) -> Ticked | None:
        store_module.reach = self._passes  # the store's own places are passed too
        try:
            return self.driver.step(replan=replan)
        except Crash:
            self.kept.reopen()
            self.safety.broken += unwritten(self.world, self.kept.load().nodes.values())
            self.driver = self._born()
            return None
        finally:
            self.counts["ticks"] += 1
            self.check()

    def _plan(self) -> None:
        """Until the next plan is due, and that."""
        for _ in range(TICKS_A_PLAN - 1):
            self._tick()
            self.world.clock.advance(QUIET_SECONDS)
        self._tick(replan=True)
        self.world.clock.advance(QUIET_SECONDS)

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        end = self.world.clock.seconds + LONGEST_SECONDS
        while not is_so():
            if self.world.clock.seconds > end:
                self._broken(f"never came to be: {what}")
            self._tick()
            self.world.clock.advance(SETTLE_SECONDS)

    def _is_unsettled(self) -> bool:
        unanswered = {Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN}
        nodes = self.kept.load().nodes.values()
        return (
            not self.driver.history
            or self.driver.history[-1].snapshot.mode != "full"
            or any(node.phase in unanswered for node in nodes)
        )

    def _is_leaving(self) -> bool:
        """True while a machine is on its way out: when it ended is learnt from the tick after."""
        leaving = {Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.LOST}
        return any(node.phase in leaving for node in self.kept.load().nodes.values())

    def _is_as_planned(self) -> bool:
        """True where nothing is missing or too much, or only what the budget does not pay for."""
        last = self.driver.history[-1]
        said = () if last.plan is None else last.plan.verdicts
        return last.needs.is_met or any(verdict.policy == "budget" for verdict in said)

    def _fleet(self) -> list[str]:
        nodes = self.kept.load().nodes.values()
        return sorted(
            worker.name
            for node in nodes
            if node.phase not in (Phase.GONE, Phase.TERMINATING, Phase.LOST)
            for worker in node.request.workers
        )

    def _alive(self) -> list[Machine]:
        return [
            machine
            for machine in self.world.cloud.machines()
            if machine.ended is None and machine.request.cluster == "sim" and machine.is_listed
        ]

    def _notice(self, name: str, in_seconds: float) -> Notice:
        now = self.world.clock()
        at = now + timedelta(seconds=in_seconds)
        return Notice(provider_id=name, kind="reclaim", effective_at=at, observed_at=now)

    def _note(self, what: str, kind: str = "") -> None:
        self.counts[kind or what] += 1
        self.done.append(f"{self.world.clock.seconds:6.0f} s  {what}")

    def _broken(self, what: str) -> None:
        self.safety.broken.append(what)
        self.check()


def _settings(budget: str, floor: int) -> Settings:
    first, *others = SETTINGS.kinds
    settings = replace(SETTINGS, kinds=(replace(first, maximum=MOST_WORKERS), *others))
    settings = with_floor(settings, floor) if floor else settings
    return with_budget(settings, budget) if budget else settings


def _is_short(plan: MovePlan) -> bool:
    """True where the work asks for more workers than there are or are coming."""
    return any(each.wanted > each.present + each.coming for each in plan.demand)
