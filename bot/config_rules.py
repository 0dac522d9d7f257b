"""What must fit together across the tables of a config, and what is allowed but worth a second look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, get_args

from bot.config import NO_FEED, Config, PartName, PoolTable
from bot.config_hedge_rules import hedge
from bot.config_hints import plain
from bot.config_limits import limits
from bot.config_mint_rules import mint_redeem
from bot.config_shape import Fault
from bot.config_types import SessionName
from bot.config_wallet import wallets
from bot.terminal import nearest
from bot.toml_lines import Path
from bot.wiring import FEEDS, feed_options
from connectors.instruments import Token, UnitModel
from connectors.ports import ANY_SYMBOL

Data = Mapping[str, Any]
Told = Collection[Path]
SESSIONS: Final[tuple[str, ...]] = get_args(SessionName)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def breaches(data: Data, told: Told) -> list[Fault]:
    """Every rule across keys that a document breaks.

    `data` is the parsed document without what has a fault already; `told` are the paths of those faults and the paths
    that they probably meant: what follows from them is not told again.
    """
    rules: tuple[Callable[[Data, Told], Iterator[Fault]], ...] = (
        _instruments,
        _venues,
        _cross_venue,
        hedge,
        mint_redeem,
        _health,
        _peg_watch,
        _pools,
        limits,
        wallets,
    )
    found = [fault for rule in rules for fault in rule(data, told)]
    return [f for f in found if f.path not in told and (not f.meant or f.meant not in told)]


def listed(table: Data) -> tuple[Token, ...]:
    """The registry's tokens that an instrument's table may mean: by name, and by issuer and chain where written."""
    from connectors.registry import load_registry

    tokens = load_registry().known(str(table.get("token", "")))
    return tuple(t for t in tokens if all(table.get(k) in (None, "", getattr(t, k)) for k in ("issuer", "chain")))


def _instruments(data: Data, told: Told) -> Iterator[Fault]:
    """Names, venues, duplicates, and what each role needs."""
    instruments: dict[str, Data] = data.get("instruments", {})
    venues: dict[str, Data] = data.get("venues", {})
    names: dict[str, str] = {}
    tokens: dict[tuple[str, ...], str] = {}
    for name, table in instruments.items():
        path: Path = ("instruments", name)
        venue, colon, symbol = name.partition(":")
        if not (venue and colon and symbol):
            yield Fault(path, "the name has no venue", 'write [instruments."venue:SYMBOL"]')
            continue
        if not all(str(part).isprintable() for part in (name, *table.values())):
            yield Fault(path, "a name holds a character that cannot be shown", "write it without escapes")
            continue
        if (first := names.setdefault(name.casefold(), name)) != name:
            yield Fault(path, f'duplicate instrument: it differs from "{first}" only in case', "remove one of them")
        if venue not in venues:
            meant = nearest(venue, venues)
            hint = f"did you mean {meant}? " if meant else ""
            yield Fault(path, f"venue {venue} is not known", f"{hint}write a table [venues.{venue}]")
        role = "" if (*path, "role") in told else table.get("role", "token")
        if role == "token":
            yield from _symbol(path, symbol, table)
        yield from _token(path, table) if role == "token" else _other_role(path, role, table)
        if role == "token" and table.get("token") and venues.get(venue, {}).get("kind") == "cex":
            # One exchange lists a token once per quote currency; pools of one chain may be many.
            same = (venue, str(table["token"]).casefold(), str(table.get("quote", "USD")))
            if (other := tokens.setdefault(same, name)) != name and other.casefold() != name.casefold():
                said = f'duplicate instrument: "{other}" is the same token at the same venue in the same currency'
                yield Fault(path, said, "remove one of them")
        if ("assumed_half_spread_bps" in table) != ("assumed_size_units" in table):
            missing = "assumed_size_units" if "assumed_half_spread_bps" in table else "assumed_half_spread_bps"
            yield Fault((*path, missing), "missing", "write both assumed values, or neither to watch without filling")
    yield from _own_judges(instruments)


def _token(path: Path, table: Data) -> Iterator[Fault]:
    """A token must be known to the registry, or say itself what a unit of it is worth."""
    if not table.get("token"):
        yield Fault((*path, "token"), "missing", 'write token = "AAPLx" (pegline tokens list), or another role')
        return
    found = listed(table)
    models = {t.unit_model for t in found if t.unit_model is not None}
    for key in ("underlying", "unit_model"):
        values = {str(getattr(t, key)) for t in found if getattr(t, key) is not None}
        if table.get(key) or len(values) == 1:
            continue
        if not found:
            known = listed({"token": table["token"]})
            at = " on this chain or of this issuer" if known else ""
            yield Fault(
                (*path, key),
                f"missing: token {plain(table['token'])} is not in the registry{at}",
                f'write {key} = "TICKER"' if key == "underlying" else f"write unit_model = {_choices()}",
            )
        elif key == "unit_model":
            chains = {m: ", ".join(t.chain for t in found if t.unit_model is m) for m in sorted(models)}
            where = "; ".join(f"{m.value} on {on}" for m, on in chains.items()) or "none known"
            said = f"missing: the registry has several unit models for {plain(table['token'])} ({where})"
            yield Fault((*path, key), said, 'write chain = "CHAIN" or unit_model, as the venue delivers it')
        else:
            yield Fault((*path, key), "missing: several issuers use this name", 'write issuer = "ISSUER"')
    written, tickers = table.get("underlying"), {t.underlying for t in found}
    if written and tickers and written not in tickers:
        said = f"{plain(written)} contradicts the registry: {table['token']} stands for {', '.join(sorted(tickers))}"
        yield Fault((*path, "underlying"), said, f"write underlying = {plain(min(tickers))} or leave it out")


def _symbol(path: Path, symbol: str, table: Data) -> Iterator[Fault]:
    """A symbol that carries the name of a registered token is not mapped to a token of another share."""
    meant = listed({"token": base_of(symbol)})
    tickers = {t.underlying for t in meant}
    known = {t.underlying for t in listed({"token": table.get("token", "")})}
    written = min(known) if known else table.get("underlying", "")
    if tickers and written and written not in tickers:
        said = f"the symbol is named like {meant[0].symbol}, a token of {min(tickers)}, and not of {written}"
        yield Fault((*path, "token"), said, f'write token = "{meant[0].symbol}", or correct the symbol')


def base_of(symbol: str) -> str:
    """What a symbol such as `TSLAX/USDT` is about: the part before the quote currency."""
    return symbol.partition(":")[0].partition("/")[0]


def _choices() -> str:
    """The unit models, as a person writes them."""
    return " or ".join(f'"{model.value}"' for model in UnitModel)


def _other_role(path: Path, role: str, table: Data) -> Iterator[Fault]:
    """A share or perp needs its ticker, a coin its name."""
    key = "coin" if role == "coin" else "underlying"
    if role and not table.get(key):
        example = "USDT" if role == "coin" else "AAPL"
        yield Fault((*path, key), f"missing for role {plain(role)}", f'write {key} = "{example}"')


def _own_judges(instruments: Mapping[str, Data]) -> Iterator[Fault]:
    """A token's own venue never judges it."""
    tokens: dict[tuple[str, str], str] = {}
    for name, table in instruments.items():
        if table.get("role", "token") == "token":
            found = listed(table)
            underlying = table.get("underlying") or (found[0].underlying if found else "")
            tokens[name.partition(":")[0], underlying] = name
    for name, table in instruments.items():
        if table.get("role") == "share" and (
            token := tokens.get((name.partition(":")[0], table.get("underlying", "")))
        ):
            said = f'this source is at the same venue as "{token}": a token\'s own venue never judges it'
            yield Fault(("instruments", name, "role"), said, "name a source at another venue")


def _venues(data: Data, told: Told) -> Iterator[Fault]:
    """What a venue needs to be listened to and traded at."""
    for name, table in data.get("venues", {}).items():
        path: Path = ("venues", name)
        feed = table.get("feed", "none")
        if feed not in FEEDS and feed not in NO_FEED and (*path, "feed") not in told:
            known = (*FEEDS, *NO_FEED)
            meant = nearest(feed, known)
            hint = f"did you mean {meant}? " if meant else ""
            said = f"{plain(feed)} is not known"
            yield Fault((*path, "feed"), said, f"{hint}write one of {', '.join(map(plain, known))}, or leave it out")
        if feed in FEEDS and table.get("options"):
            symbols = {n.partition(":")[2] for n in data.get("instruments", {}) if n.partition(":")[0] == name}
            yield from _options((*path, "options"), feed, table["options"], symbols)
        if feed == "ccxt" and not table.get("exchange"):
            yield Fault((*path, "exchange"), 'missing for feed "ccxt"', 'write exchange = "kraken" (its id in ccxt)')
        yield from _tiers(path, table)
        if ("taker_fee_bps" in table or "fee_tiers" in table) and "latency_ms" not in table:
            said = "missing: a venue with a fee is traded on paper, and then its delay counts"
            yield Fault((*path, "latency_ms"), said, "write latency_ms = NUMBER, in milliseconds")


def _tiers(path: Path, table: Data) -> Iterator[Fault]:
    """The tiers of an account are known by the volume from which each holds, and one of them always holds."""
    tiers = table.get("fee_tiers", {})
    known: list[Decimal] = []
    for key in tiers:
        try:
            known.append(Decimal(key))
        except ArithmeticError:
            yield Fault((*path, "fee_tiers", key), "this is no volume", 'write it as "50000" = [TAKER, MAKER], in bps')
    if tiers and "taker_fee_bps" in table:
        yield Fault((*path, "taker_fee_bps"), "fee_tiers is written too", "write one of the two")
    elif known and not any(volume <= 0 for volume in known):
        yield Fault((*path, "fee_tiers"), "no tier holds for a small volume", 'write "0" = [TAKER, MAKER] too, in bps')


def _options(path: Path, feed: str, options: Data, symbols: Collection[str]) -> Iterator[Fault]:
    """Only what a feed understands, of the kind that it understands: an option that is passed over is a trap."""
    known = feed_options(feed)
    for key, value in options.items():
        kind = known.get(key, known.get(ANY_SYMBOL) if key in symbols else None)
        if kind is None:
            meant = nearest(key, known)
            hint = f"did you mean {meant}? " if meant else ""
            said = f'{plain(key)} is no option of feed "{feed}"'
            yield Fault((*path, key), said, f"{hint}it knows {', '.join(known) or 'none'}")
        elif isinstance(kind, tuple):
            if isinstance(value, bool) or value not in kind:
                yield Fault((*path, key), f"{plain(value)} is not known", f"write {' or '.join(map(plain, kind))}")
        elif kind is bool:
            if not isinstance(value, bool):
                yield Fault((*path, key), f"{plain(value)} is no flag", "write true or false, without quotes")
        elif kind is str:
            if not isinstance(value, str):
                yield Fault((*path, key), f"{plain(value)} is no text", "write a text in quotes")
        elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not value > 0:
            yield Fault((*path, key), f"{plain(value)} is no number above zero", "write a number, without quotes")


def _cross_venue(data: Data, told: Told) -> Iterator[Fault]:
    """A strategy that trades has one size, a review, and an order within its limits."""
    table = data.get("strategies", {}).get("cross_venue")
    if not isinstance(table, dict) or not table.get("enabled", True):
        return
    path: Path = ("strategies", "cross_venue")
    sizes = [key for key in ("size_usd", "size_units") if key in table]
    if len(sizes) == 2:
        yield Fault((*path, "size_units"), "size_usd is written too", "write exactly one of size_usd and size_units")
    elif not sizes:
        yield Fault((*path, "size_usd"), "missing", "write exactly one of size_usd and size_units")
    risk = data.get("risk")
    if risk is None:
        said = "it trades only within limits, and there is no [risk]"
        yield Fault(path, said, "write a table [risk]", ("risk",))
    elif "size_usd" in table and "max_order_usd" in risk and table["size_usd"] > risk["max_order_usd"]:
        said = f"{plain(table['size_usd'])} is more than [risk] max_order_usd = {plain(risk['max_order_usd'])}"
        yield Fault((*path, "size_usd"), said, "every order would be refused: write less, or raise the limit")


def _health(data: Data, told: Told) -> Iterator[Fault]:
    """Some part must have a weight."""
    weights = data.get("health", {}).get("weights", {})
    if len(weights) == len(get_args(PartName)) and not any(weights.values()):
        yield Fault(("health", "weights"), "every weight is 0", "write a number above 0 for one part at least")


def _peg_watch(data: Data, told: Told) -> Iterator[Fault]:
    """Thresholds exist for every session, and a warning comes no later than the alarm, in the shadow too."""
    table = data.get("strategies", {}).get("peg_watch")
    if not isinstance(table, dict):
        return
    path: Path = ("strategies", "peg_watch")
    shadow = table.get("shadow")
    if isinstance(shadow, dict):
        bands = {key: {**(table.get(key) or {}), **(shadow.get(key) or {})} for key in ("warn_bps", "depeg_bps")}
        own = {*(shadow.get("warn_bps") or {}), *(shadow.get("depeg_bps") or {})}
        yield from _bands_in_order((*path, "shadow"), bands, own)
    for key in ("warn_bps", "depeg_bps"):
        values = table.get(key)
        absent = [name for name in SESSIONS if isinstance(values, dict) and (*path, key, name) not in told]
        absent = [name for name in absent if name not in (values or {})]
        if absent:
            yield Fault((*path, key), f"no threshold for {', '.join(absent)}", f"write {absent[0]} = NUMBER, in bps")
    yield from _bands_in_order(path, table, set(SESSIONS))


def _bands_in_order(path: Path, table: Data, sessions: Collection[str]) -> Iterator[Fault]:
    """A warning comes no later than the alarm in any of these sessions."""
    warn, depeg = table.get("warn_bps") or {}, table.get("depeg_bps") or {}
    for session in SESSIONS:
        if session in sessions and session in warn and session in depeg and warn[session] > depeg[session]:
            said = f"{plain(warn[session])} is more than depeg_bps.{session} = {plain(depeg[session])}"
            yield Fault((*path, "warn_bps", session), said, "a warning comes first: write at most the depeg threshold")


def _pools(data: Data, told: Told) -> Iterator[Fault]:
    """A pool is an instrument of a token, and the end of its incentive is a time."""
    instruments = data.get("instruments", {})
    for name, table in data.get("pools", {}).items():
        path: Path = ("pools", name)
        if name not in instruments:
            meant = nearest(name, instruments)
            hint = f"did you mean {plain(meant)}? " if meant else ""
            yield Fault(path, f"no instrument {plain(name)}", f'{hint}write [instruments."{name}"], or remove this')
        elif instruments[name].get("role", "token") != "token":
            yield Fault(path, "this instrument is no token", "name a pool of a token")
        ends = table.get("incentive_ends")
        if ends is None or (*path, "incentive_ends") in told:
            continue
        try:
            PoolTable(incentive_ends=ends).ends_ns  # noqa: B018 - only whether it can be read
        except ValueError:
            said = f"{plain(ends)} is no time"
            yield Fault((*path, "incentive_ends"), said, 'write an ISO 8601 time, e.g. "2026-12-31T00:00Z"')
        if "incentive_usd_per_day" not in table:
            said = "missing: only an incentive that is written here has an end here"
            yield Fault((*path, "incentive_usd_per_day"), said, "write incentive_usd_per_day = NUMBER in US dollars")


def concerns(config: Config) -> Iterator[Fault]:
    """What a config without mistakes should still be asked about."""
    if config.http.host not in _LOOPBACK:
        said = f"{plain(config.http.host)} shows metrics and the status page to other machines"
        yield Fault(("http", "host"), said, 'write host = "127.0.0.1" unless that is wanted')
    for name, venue in config.venues.items():
        if venue.taker_fee_bps is not None and 0 < venue.taker_fee_bps < 1:
            said = f"{venue.taker_fee_bps:g} bps is {venue.taker_fee_bps / 100:g} %"
            hint = f"where {venue.taker_fee_bps:g} % is meant, write taker_fee_bps = {venue.taker_fee_bps * 100:g}"
            yield Fault(("venues", name, "taker_fee_bps"), said, hint)
    rule = config.strategies.cross_venue
    if rule is not None and rule.enabled and config.costs is None:
        said = "missing: slippage, changing coins and rebalancing are not counted in the edge of a trade"
        yield Fault(("costs",), said, "write a table [costs], as in config.example.toml")
    if not config.instruments:
        yield Fault(("instruments",), "no instrument is named", "nothing will be watched")
    watched = config.strategies.liquidity is not None and config.strategies.liquidity.enabled
    for name, pool in config.pools.items():
        if not watched:
            said = "nobody watches its incentive"
            yield Fault(("pools", name), said, "write a table [strategies.liquidity], or remove this one")
        if pool.fee_bps is None:
            said = "missing: what its liquidity earns stays unknown, and so whether a subsidy carries it"
            yield Fault(("pools", name, "fee_bps"), said, "write fee_bps = NUMBER, in bps (1 bps = 0.01 %)")
    yield from _unjudged(config)


def _unjudged(config: Config) -> Iterator[Fault]:
    """Tokens whose premium will stay unknown, and a strategy that can trade nothing."""
    shares = {i.underlying for i in config.instruments.values() if i.role == "share"}
    coins = {i.coin for i in config.instruments.values() if i.role == "coin"} | {"USD"}
    underlyings, tradable = set(shares), 0
    for name, table in config.instruments.items():
        path: Path = ("instruments", name)
        underlyings.add(table.underlying)
        if table.quote not in coins:
            said = f"no instrument prices the coin {table.quote}, so its value in USD stays unknown"
            yield Fault((*path, "quote"), said, f'add one with role = "coin" and coin = "{table.quote}"')
        venue = config.venues.get(name.partition(":")[0])
        tradable += (table.role == "token" or table.trade) and venue is not None and venue.taker_bps is not None
        if table.role != "token":
            continue
        found = listed(table.model_dump())
        underlying = table.underlying or found[0].underlying
        underlyings.add(underlying)
        if underlying not in shares:
            said = f"no instrument quotes the share {underlying}, so the fair value stays unknown"
            yield Fault(path, said, f'add one with role = "share" and underlying = "{underlying}"')
        named = listed({"token": base_of(name.partition(":")[2])})
        if named and found and named[0].symbol.casefold() != str(table.token).casefold():
            said = f"the symbol is named like {named[0].symbol} by {named[0].issuer}, and not like {table.token}"
            yield Fault((*path, "token"), said, f'write token = "{named[0].symbol}" unless the venue says otherwise')
        if table.basis and table.unit_model == UnitModel.REBASING.value:
            said = "a unit of a rebasing token is a share, so its price has one basis only"
            yield Fault((*path, "basis"), said, "leave it out")
        models = [table.unit_model] if table.unit_model else [t.unit_model for t in found if t.unit_model is not None]
        if models and models[0] != UnitModel.REBASING.value and table.multiplier is None and table.basis != "share":
            said = "the multiplier is unknown until a feed tells it; until then this token is not priced"
            yield Fault((*path, "multiplier"), said, "write multiplier = NUMBER (shares per unit today)")
    for ticker in config.fair.daily_vol_bps:
        if ticker not in underlyings:
            yield Fault(("fair", "daily_vol_bps", ticker), "no instrument has this underlying", "remove it or fix it")
    rule = config.strategies.cross_venue
    if rule is not None and rule.enabled and tradable < 2:
        said = f"{tradable} instrument(s) can be traded, a pair needs two"
        yield Fault(("strategies", "cross_venue"), said, "write taker_fee_bps and latency_ms for their venues")
