"""The instruments that a map speaks of: several series of one name become one instrument, and must not contradict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bot.tape_map import Places, Series, TapeMap, mistakes
from connectors.errors import RegistryError
from connectors.instruments import Hours, Instrument, Role, Token, UnitModel, Universe

_SHARED: Final = (
    "token",
    "underlying",
    "issuer",
    "chain",
    "unit_model",
    "multiplier",
    "coin",
    "witness",
    "hours",
    "quote",
)
_UNSAID: Final = {"hours": Hours.ALWAYS, "quote": "USD", "unit_model": None, "multiplier": None}


@dataclass
class _Draft:
    """What the series of one instrument say together."""

    name: str
    facts: dict[str, object] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    prices: set[bool] = field(default_factory=set)
    """For each series of prices: whether it has one price."""


def universe_of(found: TapeMap, places: Places) -> Universe:
    """The universe of a map; a number is the order of first appearance.

    Where a token is named, what the map leaves out (underlying, issuer, unit model, contract) comes from the registry
    as far as its entries for that name agree. The multiplier of a rebasing token is one; otherwise it is unknown
    unless the map says it. Raises ImportFailed with all contradictions.
    """
    drafts: dict[str, _Draft] = {}
    wrong: list[str] = []
    for i, source in enumerate(found.source):
        for j, series in enumerate(source.series):
            draft = drafts.setdefault(series.instrument, _Draft(series.instrument))
            draft.kinds.add(series.kind)
            if series.kind in ("QUOTE", "TRADE", "REFERENCE", "FX"):
                draft.prices.add(bool(series.price))
            for key in _SHARED:
                said = getattr(series, key)
                if said == _UNSAID.get(key, ""):
                    continue
                if draft.facts.setdefault(key, said) != said:
                    wrong.append(
                        f"{places(i, j, key)}: {said!r}, but an earlier series of {series.instrument} "
                        f"says {draft.facts[key]!r} (write the same, or drop one)"
                    )
    if wrong:
        raise mistakes(wrong)
    instruments = []
    for name, draft in drafts.items():
        instrument = _instrument(name, draft)
        if instrument.role is Role.TOKEN and not instrument.underlying:
            i, j = _where(found, name)[0]
            wrong.append(
                f"{places(i, j, 'token')}: {instrument.token!r} is not in the registry "
                '(write underlying = "..." and multiplier = ...)'
            )
        instruments.append(instrument)
    if wrong:
        raise mistakes(wrong)
    return Universe(tuple(instruments))


def series_of(found: TapeMap) -> list[tuple[int, int, Series]]:
    """(source, series, what it says) in the map's order."""
    return [(i, j, series) for i, source in enumerate(found.source) for j, series in enumerate(source.series)]


def _where(found: TapeMap, name: str) -> list[tuple[int, int]]:
    """Places of the series of an instrument."""
    return [(i, j) for i, j, series in series_of(found) if series.instrument == name]


def _instrument(name: str, draft: _Draft) -> Instrument:
    """One instrument from all that its series say."""
    venue, _, symbol = name.partition(":")
    facts = dict(draft.facts)
    if facts.get("token"):
        role = Role.TOKEN
        for key, value in registered(
            str(facts["token"]), str(facts.get("issuer", "")), str(facts.get("chain", ""))
        ).items():
            facts.setdefault(key, value)
        if facts.get("unit_model") is UnitModel.REBASING:
            facts.setdefault("multiplier", 1.0)
    elif "FX" in draft.kinds:
        role = Role.COIN
    elif "REFERENCE" in draft.kinds or (not draft.prices and "FUNDING" not in draft.kinds):
        role = Role.SHARE
    else:
        role = Role.PERP
    return Instrument(venue=venue, symbol=symbol, role=role, one_price=draft.prices == {True}, **facts)  # type: ignore[arg-type]


def registered(token: str, issuer: str = "", chain: str = "") -> dict[str, object]:
    """What the registry knows of a token's name, as far as its entries agree; nothing for a name it does not list."""
    from connectors.registry import load_registry  # parsed only where a token is named

    try:
        entries = load_registry().named(token)
    except RegistryError:
        return {}
    entries = tuple(t for t in entries if issuer in ("", t.issuer) and chain in ("", t.chain))
    return {
        key: value
        for key in ("underlying", "issuer", "chain", "contract", "unit_model")
        if (value := _agreed(entries, key))
    }


def _agreed(entries: tuple[Token, ...], key: str) -> object:
    """The value that all entries share, or None."""
    values = {getattr(token, key) for token in entries}
    return values.pop() if len(values) == 1 else None
