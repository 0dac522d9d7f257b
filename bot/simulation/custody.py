"""What a scene's issuers attest, and what chains tell of supplies there: short of it, or attested too long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from bot.config import Config
from bot.simulation.fault import Custody, Fault
from bot.simulation.scene import Scene, stage
from bot.simulation.staging import moment
from connectors.events import NAN, NS, ROW, Kind
from connectors.simulated.short import START_NS, Records

FILE: Final = "attestations.toml"
UNITS: Final = 1000
"""Attested of each token of which anything is."""
DAY_S: Final = 86_400
EVERY_NS: Final = 10 * NS
"""A supply is told again so often."""


def attested(config: Config, scene: Scene, state: Path) -> Config:
    """The config with a file of attestations where a fault of the scene is about them."""
    entries = list(_entries(config, scene))
    if not entries:
        return config
    path = state / FILE
    path.write_text("\n".join(entries), encoding="utf-8")
    return config.model_copy(update={"run": config.run.model_copy(update={"attestations_file": str(path)})})


def with_supplies(records: Records, scene: Scene) -> Records:
    """The records with the supplies that are told while a token is short, and once when it is not any more."""
    rows = [row for fault in scene.faults if fault.kind is Custody.SHORTFALL for row in _supplies(fault)]
    if not rows:
        return records
    joined = np.concatenate((records, np.array(rows, dtype=ROW)))
    return np.asarray(joined[np.argsort(joined["ts_recv"], kind="stable")])


def _entries(config: Config, scene: Scene) -> Iterator[str]:
    """The tables of the file. One that is too old is followed by a new one at the end of its fault."""
    mine = [(_token(fault), fault) for fault in scene.faults if isinstance(fault.kind, Custody)]
    for issuer, token in sorted({named for named, _ in mine}):
        old = [fault for named, fault in mine if named == (issuer, token) and fault.kind is Custody.OLD]
        times = [START_NS - DAY_S * NS]
        if old:
            allowed_ns = round(config.gates.max_attestation_age_days * DAY_S) * NS
            times = [moment(old[0].at_s) - allowed_ns, moment(old[0].at_s + old[0].for_s)]
        for ts in times:
            as_of = datetime.fromtimestamp(ts / NS, UTC).isoformat()
            yield f'[[attestation]]\nissuer = "{issuer}"\ntoken = "{token}"\nunits = {UNITS}\nas_of = {as_of}'


def _token(fault: Fault) -> tuple[str, str]:
    """(issuer, token) of the instrument that a fault names."""
    one = stage().universe[stage().universe.number(fault.where)]
    return one.issuer, one.token


def _supplies(fault: Fault) -> list[tuple[object, ...]]:
    """SUPPLY rows of one token: a unit too many, again and again, and at last one too few."""
    number = stage().universe.number(fault.where)
    begin = moment(fault.at_s)
    end = begin + round(fault.for_s * NS)
    told = [(at, UNITS + 1.0) for at in range(begin, end, EVERY_NS)] + [(end, UNITS - 1.0)]
    return [(at, at, number, Kind.SUPPLY, 0, units, NAN, NAN, NAN, NAN) for at, units in told]
