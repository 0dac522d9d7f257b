"""`pegline venues`: what the config's venues are, one of them in full, and whether they are well now."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.config import Config
    from connectors.instruments import Instrument, Token, Universe

SCHEMA = 1
LIMIT_S = 30.0
EPILOG = """\
list says what each venue is configured as; show tells one in full: which token each symbol stands for and who says so,
the venue's peculiarities, fees and limits. Neither needs a network. test asks the live venues, all at once: clock and
latency, entitlements, whether each symbol is listed and trading, fees, rate budget.

test ends with 4 where a credential is missing or refused, 7 where a venue cannot be reached, 5 where another check
failed; warnings end with 0."""
BASIS = {
    "unit": "per unit",
    "share": "per share",
    "unknown": "calibrated from its prices at start",
    "": "a unit is a share",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `list` (the default), `show` and `test`."""
    parser.epilog = EPILOG
    _common(parser, "config.toml", False)
    parser.add_argument("--all", action="store_true", help="list: every venue that a feed is known for")
    commands = parser.add_subparsers(dest="action", metavar="{list,show,test}")
    hidden = argparse.SUPPRESS
    listing = commands.add_parser("list", help="every venue of the config: feed, instruments, fees, basis, hours")
    listing.add_argument("--all", action="store_true", default=hidden, help="every venue that a feed is known for")
    show = commands.add_parser("show", help="one venue: symbols, tokens, who vouches for them, peculiarities, limits")
    show.add_argument("name", metavar="NAME", help="as in [venues.NAME]")
    test = commands.add_parser("test", help="ask live venues how they are")
    test.add_argument("names", nargs="*", metavar="NAME", help="default: all that have a feed")
    test.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help=f"per venue, default {LIMIT_S:g} s")
    for command in (listing, show, test):
        _common(command, hidden, hidden)


def _common(parser: argparse.ArgumentParser, config: str, no: Any) -> None:
    """Options of all three, before or after the word."""
    parser.add_argument("--config", default=config, metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--json", action="store_true", default=no, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints what was asked. Raises ConfigError, and UsageError for a venue that the config does not name."""
    from bot.config_file import load
    from bot.universe import universe_of

    action = args.action or "list"
    if action == "list" and args.all:
        return _all(args)
    path = Path(args.config)
    config = load(path, credentials=False)
    universe = universe_of(config)
    if action == "show":
        return _show(config, universe, _named(config, args.name), as_json=args.json)
    if action == "test":
        return _test(args, config, universe, path.parent)
    return _list(config, universe, as_json=args.json)


def _named(config: Config, name: str) -> str:
    """The venue of that name. Raises UsageError with the nearest one."""
    from bot.errors import UsageError
    from bot.terminal import nearest

    if name in config.venues:
        return name
    meant = nearest(name, config.venues)
    known = ", ".join(config.venues) or "none"
    raise UsageError(f"no venue {name!r}", hint=f"did you mean {meant}?" if meant else f"the config names {known}")


def _basis(config: Config, instrument: Instrument) -> str:
    """The rule of an instrument's basis: unit, share, unknown (calibrated), or empty where it needs none."""
    from bot.assembly import basis_of

    basis = basis_of(config, instrument)
    return "" if basis is None else str(basis)


def _fact(config: Config, universe: Universe, name: str) -> dict[str, Any]:
    """One venue as the config has it."""
    venue = config.venues[name]
    members = [i for i in universe if i.venue == name]
    roles = [i.role.name.lower() for i in members]
    basis = {_basis(config, i) for i in members if i.role.name == "TOKEN"}
    return {
        "venue": name,
        "kind": venue.kind,
        "feed": venue.feed,
        "exchange": venue.exchange or None,
        "url": venue.url or None,
        "instruments": {role: roles.count(role) for role in dict.fromkeys(roles)},
        "taker_fee_bps": venue.taker_bps,
        "fixed_cost_usd": str(venue.fixed_cost_usd or 0),
        "latency_ms": venue.latency_ms,
        "traded": venue.taker_bps is not None,
        "basis": sorted(basis),
        "hours": list(dict.fromkeys(str(i.hours) for i in members)),
        "key_file": bool(venue.key_file),
    }


def _list(config: Config, universe: Universe, *, as_json: bool) -> int:
    """Every venue of the config."""
    from bot.tables import print_table

    facts = [_fact(config, universe, name) for name in config.venues]
    if as_json:
        print(json.dumps({"schema": SCHEMA, "venues": facts}, indent=2))
        return 0
    rows: list[list[str]] = [
        [
            fact["venue"],
            fact["feed"] + (f" ({fact['exchange']})" if fact["exchange"] not in (None, fact["venue"]) else ""),
            ", ".join(f"{n} {role}{'s' * (n != 1)}" for role, n in fact["instruments"].items()) or "nothing",
            f"{fact['taker_fee_bps']:g}" if fact["traded"] else "watched only",
            "; ".join(BASIS[rule] for rule in fact["basis"]) or "-",
            ", ".join(fact["hours"]) or "-",
        ]
        for fact in facts
    ]
    print_table(("venue", "feed", "lists", "taker bps", "price is", "hours"), rows, whole=("venue",))
    print("One in full: pegline venues show NAME; are they well: pegline venues test", file=sys.stderr)
    return 0


def _all(args: argparse.Namespace) -> int:
    """Every venue that a feed is known for, whatever the config."""
    from bot.tables import print_table
    from bot.wiring import FEEDS, exchanges

    quirks = exchanges()
    own = [feed for feed in FEEDS if feed != "ccxt"]
    facts = [
        {
            "venue": name,
            "feeds": [feed for feed in (name if name in own else "", "ccxt" if name in quirks else "") if feed],
            "peculiar": list(quirks.get(name, ())),
        }
        for name in dict.fromkeys([*quirks, *own])
    ]
    if args.json:
        print(json.dumps({"schema": SCHEMA, "known": facts}, indent=2))
        return 0
    rows: list[list[str]] = [[str(f["venue"]), ", ".join(f["feeds"]), "; ".join(f["peculiar"]) or "-"] for f in facts]
    print_table(("venue", "feed", "peculiar through ccxt"), rows, whole=("venue",))
    print('Any other exchange that ccxt.pro speaks to works by name: feed = "ccxt", exchange = "..."', file=sys.stderr)
    return 0


def _tokens(instrument: Instrument) -> tuple[Token, ...]:
    """The registry's entries that an instrument stands for; none where the config alone vouches for it."""
    from connectors.errors import RegistryError
    from connectors.registry import load_registry

    try:
        found = load_registry().named(instrument.token) if instrument.token else ()
    except RegistryError:
        return ()
    return tuple(t for t in found if t.issuer == instrument.issuer and instrument.chain in ("", t.chain))


def _show(config: Config, universe: Universe, name: str, *, as_json: bool) -> int:
    """One venue in full."""
    from bot.assembly import tables
    from bot.wiring import exchanges

    fact, venue = _fact(config, universe, name), config.venues[name]
    instruments = []
    for instrument in universe:
        if instrument.venue != name:
            continue
        table, entries = tables(config, instrument)[1], _tokens(instrument)
        band = config.gates.plausible_bps if table.plausible_bps is None else table.plausible_bps
        judged = instrument.role.name in ("TOKEN", "PERP") and band < float("inf")
        instruments.append(
            {
                "symbol": instrument.symbol,
                "role": instrument.role.name.lower(),
                "token": instrument.token or None,
                "underlying": instrument.underlying or None,
                "issuer": instrument.issuer or None,
                "quote": instrument.quote,
                "unit_model": instrument.unit_model,
                "multiplier": instrument.multiplier,
                "basis": _basis(config, instrument) or None,
                "plausible_bps": band if judged else None,
                "hours": str(instrument.hours),
                "lot": str(table.lot),
                "min_notional_usd": str(table.min_notional_usd),
                "registry": [{"chain": t.chain, "contract": t.contract, "trust": t.trust} for t in entries],
                "source": list(dict.fromkeys(t.source for t in entries)),
            }
        )
    peculiar = list(exchanges().get(venue.exchange or name, ())) if venue.feed == "ccxt" else []
    last = _last_state(config, name)
    if as_json:
        fact |= {"schema": SCHEMA, "symbols": instruments, "peculiar": peculiar, "last_state": last}
        print(json.dumps(fact, indent=2))
        return 0
    _print_venue(fact, instruments, peculiar, last)
    return 0


def _last_state(config: Config, name: str) -> str | None:
    """What the journal said last of the venue: `up`, or a state with its reason; None where nothing was told."""
    from bot.told_state import last_states

    return last_states(Path(config.run.state_dir).expanduser()).venues.get(name)


def _print_venue(
    fact: dict[str, Any], instruments: list[dict[str, Any]], peculiar: list[str], last: str | None
) -> None:
    """The same for people."""
    from bot.tables import print_table

    where = f" at {fact['url']}" if fact["url"] else ""
    print(f"{fact['venue']}: {fact['kind']}, heard through {fact['feed']}{where}\n")
    rows = []
    for one in instruments:
        trusts = ", ".join(dict.fromkeys(entry["trust"] for entry in one["registry"]))
        who = one["token"] or one["underlying"] or "-"
        if one["token"]:
            by = f"registry ({trusts})" if trusts else "this config alone"
            who = f"{one['token']}: {one['underlying']} by {one['issuer'] or '?'}"
        else:
            by = "-"
        model = one["unit_model"] or "-"
        if one["basis"]:
            model = f"{model} x {one['multiplier'] or '?'}, {BASIS[one['basis']]}"
        rows.append([one["symbol"], one["role"], who, by, model, one["hours"]])
    print_table(("symbol", "role", "stands for", "says who", "a price is of", "hours"), rows, whole=("symbol",))
    for one in instruments:
        for source in one["source"]:
            print(f"  {one['token']}: {source}")
    fee = f"{fact['taker_fee_bps']:g} bps" if fact["traded"] else "none: watched, never traded"
    delay = "" if fact["latency_ms"] is None else f", {fact['latency_ms']:g} ms from decision to fill on paper"
    print(f"\n  fee      {fee}{delay}")
    for one in instruments:
        if fact["traded"] and one["role"] == "token":
            band = "any price" if one["plausible_bps"] is None else f"plausible within {one['plausible_bps'] / 100:g} %"
            print(f"  limits   {one['symbol']}: lot {one['lot']}, at least {one['min_notional_usd']} USD, {band}")
    for words in peculiar:
        print(f"  peculiar {words}")
    print(f"  state    {last or 'nothing is in the journal'}{' by the journal' if last else ''}")
    print(f"  clock    pegline venues test {fact['venue']} asks it now")


def _test(args: argparse.Namespace, config: Config, universe: Universe, folder: Path) -> int:
    """Asks the venues. Raises UsageError where none can be asked."""
    from bot.errors import UsageError
    from bot.findings import as_json, code_of, print_lines, summary
    from bot.probes import asked, look
    from bot.terminal import coloured

    if not args.limit > 0:
        raise UsageError("--limit is a number of seconds above zero")
    able = asked(config, universe)
    names = tuple(dict.fromkeys(_named(config, name) for name in args.names)) or able
    deaf = [name for name in names if name not in able]
    if deaf or not names:
        what = f"nothing outside speaks for {', '.join(deaf)}" if deaf else "no venue of this config has a live feed"
        raise UsageError(what, hint="a feed and at least one instrument are needed")
    lines = asyncio.run(look(config, universe, names, folder=folder, limit_s=args.limit, done=Progress(len(names))))
    if args.json:
        print(as_json(lines))
    else:
        print_lines(lines, colour=coloured(sys.stdout, args.color))
        print(f"\n{summary(lines)}")
    return code_of(lines)


class Progress:
    """Says on a terminal how many venues have answered."""

    def __init__(self, count: int) -> None:
        """Of so many."""
        self.left = count
        self.count = count
        self._show()

    def __call__(self, name: str) -> None:
        """One more has."""
        self.left -= 1
        self._show()

    def _show(self) -> None:
        if sys.stderr.isatty():
            said = f"asking {self.count} venues, {self.count - self.left} have answered" if self.left else ""
            print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)
