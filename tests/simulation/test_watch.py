"""I9, I11 and I12: what befalls a scene is seen, stays where it is, and no secret is told. Each check is shown a build
that is broken on purpose."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.samples import Sample

from bot.invariants import Breach
from bot.simulation.canary import CANARY, leaks
from bot.simulation.driver import Driver
from bot.simulation.fault import Fault
from bot.simulation.isolation import Isolation
from bot.simulation.outcome import broken_off, struck_of
from bot.simulation.scene import Scene, stage
from bot.simulation.signs import SIGNS, unseen
from bot.simulation.window import Scrape, Window
from connectors.events import Rows
from connectors.instruments import Universe
from connectors.simulated.short import START_NS
from monitoring.catalogue import BY_NAME
from strategies.base import Decision, Every, Note, Step, View, Wake
from tests.conftest import program
from tests.simulation.played import Played

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring" / "prometheus" / "rules" / "alerts.yml"
EXPRESSIONS = {rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"]
               for rule in group["rules"]}  # fmt: skip
BETA, ALPHA_SPY = "sim-beta:simTSLA/USDT", "sim-alpha:simSPY/USD"
PAUSE = Fault(what="pause", where=BETA, at_s=100.0, for_s=30.0)
MUTE = Fault(what="mute", where=BETA, at_s=100.0, for_s=30.0)
ALERTED = {
    "withdrawal": Fault(what="withdrawal", where="sim-beta", at_s=100.0, for_s=5.0),
    "never_settles": Fault(what="never_settles", where="sim-one"),
    "shortfall": Fault(what="shortfall", where=BETA, at_s=100.0, for_s=30.0),
    "attestation_old": Fault(what="attestation_old", where=BETA, at_s=100.0, for_s=30.0),
    "disk_full": Fault(what="disk_full", number=20, for_s=20.0),
    "kill": Fault(what="kill", at_s=100.0, for_s=30.0),
}


def test_every_sign_is_in_the_catalogue_and_its_alert_looks_at_it() -> None:
    """
    Metric and labels are exported, and the expression of the alert names the metric.
    """
    for kind, sign in SIGNS.items():
        assert set(sign.labels) <= set(BY_NAME[sign.metric].labels), kind
        assert not sign.alert or sign.metric in EXPRESSIONS[sign.alert], kind
    assert {kind.value for kind, sign in SIGNS.items() if sign.alert} > ALERTED.keys()


@cache
def calm() -> Played:
    """A scene in which nothing goes wrong."""
    return Played()


class Blind(Window):
    """A desk to which nobody tells anything."""

    def _hear(self, step: Step) -> None:
        """Nothing."""


class Unseen(Driver):
    """A scene before a blind desk."""

    def __init__(self, scene: Scene, state: Path) -> None:
        super().__init__(scene, state)
        self.window = Blind(self.stage.config, self.disk)


def test_i9_a_fault_that_no_metric_shows_is_found(tmp_path: Path) -> None:
    """
    A token is paused before a desk that hears nothing; before one that does nothing is breached.
    """
    outcome = Unseen(Scene(seed=7, faults=(PAUSE,)), tmp_path).run()
    assert [one for one in outcome.breaches if one.startswith("I9: pause at sim-beta:simTSLA/USDT moved no pegline_k")]
    assert () == Played(PAUSE).outcome.breaches


def test_i9_what_never_struck_need_not_show() -> None:
    """
    An order that was never placed could lose no answer.
    """
    played = Played(Fault(what="ack_lost", where="sim-pool", number=10_000))
    assert {"ack_lost": 0} == struck_of(played.driver)
    assert [] == unseen(played.driver, {"ack_lost": 0})
    assert ["I9"] == [one.invariant for one in unseen(played.driver, {"ack_lost": 1})]


def test_i9_the_alert_fires_on_what_was_scraped_and_is_silent_without_the_fault(tmp_path: Path) -> None:
    """
    Some scrape of each scene, held for ten minutes, fires the rule by Prometheus' own tool; the last scrape of a scene
    without a fault fires none.
    """
    cases = [case(SIGNS[fault.kind].alert, scraped(fault), fires=True) for fault in ALERTED.values()]
    last = calm().driver.window.scrapes[-1]
    cases += [case(SIGNS[fault.kind].alert, last, fires=False) for fault in ALERTED.values()]
    path = tmp_path / "cases.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": cases}))
    command = [program("promtool"), "test", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def scraped(fault: Fault) -> Scrape:
    """The scrape at which the sign of a fault stood out farthest."""
    run = Played(fault).driver
    sign = SIGNS[fault.kind]
    return max(
        run.window.scrapes,
        key=lambda one: max(
            ((value if sign.above >= 0 else -value) for value in one.values(sign.metric, {})), default=float("-inf")
        ),
    )


def case(alert: str, scrape: Scrape, *, fires: bool) -> dict[str, object]:
    """A case of promtool: the series of a scrape, unchanged, and whether the rule's expression holds of them."""
    wanted = set(re.findall(r"pegline_\w+", EXPRESSIONS[alert]))
    series = [{"series": named(one), "values": f"{one.value}x20"} for one in scrape.samples() if one.name in wanted]
    expected = [{"labels": "{}", "value": 1}] if fires else []
    query = {"expr": f"count({EXPRESSIONS[alert]}) > bool 0", "eval_time": "8m", "exp_samples": expected}
    return {"interval": "30s", "input_series": series, "promql_expr_test": [query]}


def named(one: Sample) -> str:
    """A series as promtool writes it."""
    labels = ",".join(f'{label}="{value}"' for label, value in one.labels.items())
    return f"{one.name}{{{labels}}}"


class Deaf(Driver):
    """A scene in which everything falls silent while one venue does."""

    def _hear(self, rows: Rows, at: int, until: int) -> int:
        assert self.parts is not None
        (fault,) = self.scene.faults
        begin, end = (START_NS + round(second * 1e9) for second in (fault.at_s, fault.at_s + fault.for_s))
        last = max(at, int(rows.ts_recv.searchsorted(until)))
        block = rows[at:last]
        self.parts.engine.advance(block[(block.ts_recv < begin) | (block.ts_recv >= end)])
        return last


def test_i11_a_silence_that_spreads_is_found(tmp_path: Path) -> None:
    """
    One venue is mute for half a minute and a broken build hears none of the others: every token of theirs is told of. A
    sound build prices them.
    """
    found = Deaf(Scene(seed=7, faults=(MUTE,)), tmp_path).run().breaches
    lost = {one.split(" ")[1] for one in found if one.startswith("I11")}
    assert {ALPHA_SPY, "sim-alpha:simTSLA/USD", "sim-pool:simTSLA/USDT"} == lost
    assert () == Played(MUTE).outcome.breaches


def isolation(*faults: Fault) -> tuple[Isolation, list[Breach]]:
    """The watch over a scene's records, and what it finds."""
    found: list[Breach] = []
    return Isolation(faults, stage().universe, Rows.of([]), found.append), found


def held(scope: str, cause: str = "trade") -> Step:
    """A record in which something is held back."""
    detail = {"scope": scope, "mode": "REDUCE", "cause": cause, "why": "w", "by": "", "at": 1, "until": 0}
    return Step(seq=1, ts=5, cause="hold", notes=(Note(kind="hold", detail=detail),))


@pytest.mark.parametrize(
    ("fault", "ill", "well"),
    [
        (Fault(what="down", where="sim-pool"), "venue:sim-pool", "venue:sim-beta"),
        (Fault(what="down", where="sim-pool"), "underlying:TSLA", "underlying:SPY"),
        (Fault(what="failed", where="sim-two"), "issuer:sim-two", "issuer:sim-one"),
        (Fault(what="freeze", where="sim-two"), "token:simSPY", "token:simTSLA"),
        (Fault(what="halt", where=BETA), "underlying:TSLA", "underlying:SPY"),
        (Fault(what="coin", where=BETA), "venue:sim-beta", "venue:sim-alpha"),
        (Fault(what="multiplier", where=BETA), "underlying:SPY", "underlying:TSLA"),
    ],
)
def test_i11_only_what_is_ill_may_be_held_back(fault: Fault, ill: str, well: str) -> None:
    """
    A hold of the gate's own on what a fault befell is right, on anything else a breach; an operator may hold anything.
    """
    watch, found = isolation(fault)
    for step in (held(ill), held(well, "operator")):
        watch.hear(step)
    assert [] == found
    watch.hear(held(well))
    assert ["I11"] == [one.invariant for one in found] and well in found[0].what


def test_i11_a_trade_that_met_nothing_ill_must_not_be_given_up() -> None:
    """
    It traded at alpha and beta and was paged: a breach while the pool is down, none while beta is, and none after a
    crash.
    """
    plan = calm().approved[0][0]
    places = {stage().universe[leg.instrument].venue for leg in plan.legs}
    note = Note(kind="trade", detail={"trade": plan.id, "stage": "paged"})
    step = Step(seq=1, ts=5, cause="x", wishes=(plan,), approved=(plan.id,), notes=(note,))
    other = next(one for one in ("sim-pool", "sim-alpha", "sim-beta") if one not in places)
    for fault, breaches in (
        (Fault(what="down", where=other), 1),
        (Fault(what="down", where=min(places)), 0),
        (Fault(what="crash_after", number=5), 0),
    ):
        watch, found = isolation(fault)
        watch.hear(step)
        assert breaches == len(found)


class Teller:
    """A strategy that writes a secret into its notes and its wishes' reasons."""

    name, cooldown_ns, refusal_backoff_ns, max_open = "teller", 0, 0, 1

    def wakes(self, universe: Universe) -> tuple[Wake, ...]:
        """At every tick."""
        return (Every(),)

    def may(self, view: View, instrument: int) -> tuple[bool, bool]:
        """Always."""
        return True, True

    def decide(self, view: View) -> Decision:
        """No wish, one note."""
        return Decision((), (Note(kind="told", detail={"error": f"401 of key={CANARY}-sim-beta"}),))


def test_i12_a_secret_in_a_record_is_found() -> None:
    """
    A strategy notes an error with the key in it.
    """
    assert ("I12: a secret stands in the journal",) == Played(more=lambda: [Teller()]).outcome.breaches


def test_i12_a_secret_in_any_other_output_is_found(tmp_path: Path) -> None:
    """
    In the story, a scrape, a warning, a breach, a file of the state folder, or what a crash prints; the key files
    themselves may hold it.
    """
    run = Played().driver
    (tmp_path / "sim-beta.key").write_text(CANARY)
    assert [] == leaks(run, tmp_path)
    spoilt = GaugeMetricFamily("pegline_mode", "", labels=["mode"])
    spoilt.add_metric([CANARY], 1.0)
    spoils: list[Callable[[], object]] = [
        lambda: run.window.story.append(f"key {CANARY}"),
        lambda: run.window.scrapes.append(Scrape(1, (spoilt,))),
        lambda: run.warned.append(CANARY),
        lambda: run.breaches.append(Breach("I1", CANARY, 1)),
        lambda: (tmp_path / "latch.json").write_text(CANARY),
    ]
    for count, spoil in enumerate(spoils, 1):
        spoil()
        assert count == len(leaks(run, tmp_path))
    found = broken_off(Scene(seed=1), f"RuntimeError: key={CANARY}")
    assert ("the process ended by RuntimeError: key=***", "I12: a secret stands in what ended the process") == (
        found.breaches
    )


def test_row_81_a_connector_that_raises_with_its_key_in_the_error_tells_nobody() -> None:
    """
    The venue has the order, our connector breaks: the order is unknown, found by its client id, and no output holds the
    key that the error held.
    """
    played = next(
        one
        for seed in range(7, 12)
        for venue in ("sim-beta", "sim-alpha")
        if (one := Played(Fault(what="raises", where=venue), seed=seed)).outcome.struck["raises"]
    )
    assert () == played.outcome.breaches
    (hit,) = played.hit()
    told = [report for report in played.reports if report.client_id == hit.client_id]
    assert ("unknown", "the connector raised RuntimeError") == (told[0].outcome.value, told[0].detail)
    assert told[-1].final and told[-1].fills
