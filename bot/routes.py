"""Answers what selling or buying so many tokens brings or costs now, over all venues, levels and coins at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite

from bot.assembly import Assembly
from bot.config import Config
from bot.costs import leg_costs
from bot.errors import UsageError
from bot.quotes import Quotes, meant
from connectors.instruments import USD, Role
from connectors.ports import Levels
from monitoring.ladder import best
from monitoring.routed import ChangeLine, LeftOut, Routed, RoutedLine
from strategies.market import kernel as K
from strategies.market.fair import BPS
from strategies.pricing import curve
from strategies.pricing.costs import TAKEN, Component
from strategies.pricing.curve import Curve
from strategies.pricing.routing import Route
from strategies.pricing.sale import COINS, TOKEN, USD_AT, Market, amounts, best_sale, way_of
from strategies.pricing.swaps import of_curve


class Routes:
    """`ask` at any time; every answer is of the moment."""

    def __init__(self, config: Config, parts: Assembly, quotes: Quotes) -> None:
        """`quotes` of the same run says which venues are believed, and what a share is worth."""
        self._config, self._parts, self._quotes = config, parts, quotes
        self._columns = parts.columns

    def ask(self, name: str, units: float | None, *, buy: bool) -> Routed:
        """The best way to sell or buy so many units of a token, or at one instrument.

        Raises UsageError where nothing has the name, it stands for several tokens, or `units` is no number above zero.
        """
        if units is None or not 0 < units < inf:
            raise UsageError("the units are a number above zero")
        columns, found = self._columns, meant(self._columns.universe, name)
        tokens = {columns.universe[at].asset: None for at in found.venues}
        if len(tokens) != 1:
            hint = f"name one of {', '.join(tokens)}" if tokens else "no venue of it is known"
            raise UsageError(f"{name!r} is not one token", hint=hint)
        markets, left_out = self._markets(name, found.venues, buy)
        used, way, bound = best_sale(markets, units, buy)
        return self._answer(name, next(iter(tokens)), units, buy, used, way, bound, left_out, found.venues)

    def _markets(self, name: str, numbers: Sequence[int], buy: bool) -> tuple[list[Market], list[LeftOut]]:
        """Where the token is traded and its coins are changed now, and what is left out with its reason."""
        columns, left_out = self._columns, list[LeftOut]()
        sides = dict[str, list[tuple[int, Curve, float]]]()
        """By quote coin: instrument, side and fixed cost."""
        for at, told in zip(numbers, self._quotes.ask(name).venues, strict=True):
            costs = leg_costs(self._config, columns.universe[at]).only(TAKEN - {Component.FX})
            side = self._side(at, buy, float(costs.rate))
            only_fair = told.unknown == columns.why_unknown(columns.group(at), columns.now, without=at)
            # That nobody knows the fair value is nothing against a price.
            why = "" if only_fair else told.unknown
            if why := why or costs.why or ("" if len(side.start) else "it quotes nothing, or no size"):
                left_out.append(LeftOut(instrument=told.instrument, why=why))
            else:
                sides.setdefault(columns.universe[at].quote, []).append((at, side, float(costs.fixed_usd)))
        found = []
        for quote, held in sides.items():
            place = USD_AT if quote == USD else COINS + columns.coins.index(quote)
            if quote != USD:
                most = sum(curve.cost(side) for _, side, _ in held)
                if not (changes := self._changes(held[0][0], most, buy, left_out)):
                    left_out += [
                        LeftOut(instrument=columns.universe[at].name, why=f"its {quote} cannot be changed")
                        for at, _, _ in held
                    ]
                    continue
                found += changes
            found += [
                Market(at, "", of_curve(side, *way_of(TOKEN, place, buy), buy=buy), fixed) for at, side, fixed in held
            ]
        return found, left_out

    def _changes(self, at: int, most: float, buy: bool, left_out: list[LeftOut]) -> list[Market]:
        """Where the coin that an instrument is quoted in is changed: at markets whose fee and sizes are known, and at
        its price up to `most`, for what the config says that changing costs."""
        columns, found, quote = self._columns, list[Market](), self._columns.universe[at].quote
        way = way_of(COINS + columns.coins.index(quote), USD_AT, buy)
        for number in columns.universe.where(role=Role.COIN):
            coin, k = columns.universe[number], columns.k_rows[number]
            venue = self._config.venues.get(coin.venue)
            if (coin.coin, coin.quote) != (quote, USD) or venue is None or venue.kind == "oracle":
                continue
            costs = leg_costs(self._config, coin).only(TAKEN - {Component.FX})
            side = self._side(number, buy, float(costs.rate))
            fresh = k[K.REFUSAL] == K.OK and columns.now <= k[K.EXPIRES]
            why = "" if fresh else "its price is refused or too old"
            if why := why or costs.why or ("" if len(side.start) else "it quotes no size"):
                left_out.append(LeftOut(instrument=coin.name, why=why))
            else:
                found.append(Market(number, quote, of_curve(side, *way, buy=buy), float(costs.fixed_usd)))
        costs, price = leg_costs(self._config, columns.universe[at]).only({Component.FX}), columns.known_fx(at)
        if costs.missing:
            left_out.append(LeftOut(instrument=f"{quote} at its price", why=costs.why))
        elif price > 0:
            flat = curve.book([(price, most)], buy=buy, fee=float(costs.rate))
            found.append(Market(-1, quote, of_curve(flat, *way, buy=buy), 0.0))
        return found

    def _side(self, at: int, buy: bool, fee: float) -> Curve:
        """Asks or bids in force, with the sizes that are known and what a leg costs."""
        columns = self._columns
        levels: Levels | None = self._parts.engine.depths.levels(at, columns.now) or best(columns, at)[0]
        rows = () if levels is None else levels.asks if buy else levels.bids
        known = [(price, size) for price, size in rows if 0 < price < inf and 0 < size < inf]
        return curve.book(sorted(known, reverse=not buy), buy=buy, fee=fee)

    def _answer(
        self, name: str, token: str, units: float, buy: bool, used: Sequence[Market], way: Route, bound: float,
        left_out: Sequence[LeftOut], numbers: Sequence[int],
    ) -> Routed:  # fmt: skip
        """The way in words of the answer."""
        columns = self._columns
        changes, lines = self._told(used, way, buy)
        filled, gross = sum(line.units for line in lines), sum(line.usd for line in lines)
        fixed = sum(market.fixed_usd for market, (taken, _) in zip(used, amounts(used, way), strict=True) if taken)
        usd = gross + fixed if buy else gross - fixed
        average = usd / filled if filled else None
        fair, each = columns.fair(columns.group(numbers[0]), columns.now), columns.f.item(numbers[0], K.SHARES_PER_UNIT)
        fair_usd = fair.price * each if fair is not None and isfinite(each) else None
        worse = None
        if average is not None and fair_usd is not None:
            worse = (average / fair_usd - 1) * BPS * (1 if buy else -1)
        whole = filled > units * (1 - 1e-9)
        return Routed(
            asked=name,
            token=token,
            now_ns=columns.now,
            origin=self._quotes.origin(),
            buy=buy,
            units=units,
            filled=filled,
            usd=usd if filled else None,
            bound_usd=bound if filled else None,
            fixed_usd=fixed,
            average_usd=average,
            marginal_usd=float(way.prices[TOKEN]) if whole else None,
            fair_usd=fair_usd,
            worse_bps=worse,
            lines=tuple(sorted(lines, key=lambda line: -line.units)),
            changes=tuple(changes),
            left_out=tuple(left_out),
        )

    def _told(self, used: Sequence[Market], way: Route, buy: bool) -> tuple[list[ChangeLine], list[RoutedLine]]:
        """What is changed and what is traded, market by market."""
        universe, changes, lines = self._columns.universe, list[ChangeLine](), list[RoutedLine]()
        moved = []
        """Markets that are used: token and money, or coins and USD."""
        for market, (taken, given) in zip(used, amounts(used, way), strict=True):
            if taken:
                moved.append((market, given, taken) if buy else (market, taken, given))
        for market, coins, usd in moved:
            if market.coin:
                at = universe[market.number].name if market.number >= 0 else ""
                changes.append(ChangeLine(coin=market.coin, coins=coins, usd=usd, at=at))
        for market, units, amount in moved:
            if not market.coin:
                quote = universe[market.number].quote
                own = [one for one in changes if one.coin == quote]
                worth = amount * sum(one.usd for one in own) / sum(one.coins for one in own) if own else amount
                lines.append(
                    RoutedLine(
                        instrument=universe[market.number].name,
                        units=units,
                        amount=amount,
                        quote=quote,
                        usd=worth,
                        price_usd=worth / units,
                        fixed_usd=market.fixed_usd,
                    )
                )
        return changes, lines
