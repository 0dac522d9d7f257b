"""An answer about a token as a person reads it: tables of at most a hundred columns, and words for what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Final

from bot.tables import WIDTH, print_table
from monitoring.narrate import utc
from monitoring.quote_lines import Executable, FairLine, Quote, ShareQuote, VenueQuote
from monitoring.tale import moment
from monitoring.words import age

UNKNOWN: Final = "?"
_HOW: Final = {
    "daemon": "a running pegline at {where}",
    "tape": "the tape {where}",
    "feeds": "the feeds of the config, heard just now",
}
_ERRORS: Final = {
    "source": "how far {source} may be off when fresh",
    "spread": "half of the spread of {source}",
    "doubt": "our doubt about {source}",
    "fused": "the share's own sources together, when {source} spoke",
    "clock": "what the share may have moved since {source} spoke",
    "witness": "{source}, a witness",
    "contradiction": "witnesses contradict each other: error x {stretch:.1f}",
}


def tell(answer: Quote, *, explain: bool) -> None:
    """Prints the answer on stdout."""
    until = f", until {moment(answer.session_ends_ns)}" if answer.session_ends_ns is not None else ""
    print(f"{moment(answer.now_ns)} ({utc(answer.now_ns)}), {answer.session} session{until}")
    print("from " + _HOW.get(answer.origin.how, "{where}").format(where=answer.origin.where))
    for share in answer.shares:
        venues = [venue for venue in answer.venues if venue.underlying == share.underlying]
        print()
        _share(share, answer.session)
        _venues(venues)
        _beyond(answer, share.underlying)
        if explain:
            _terms(share)
            _controls(share)
            _error(share)
            _worth(venues)
            _judged(venues)
            _growth(share)
    print()
    print(_KEY if explain else f"{_KEY} --explain shows every term.")


_TELLING: Final = 2.0
"""From this stretch on it is told unasked; a little of it is chance."""

_MOSTLY: Final = 2 / 3
"""From this part of its judges on, being of one issuer is told unasked."""

_KEY: Final = """\
All but prices in bps. sigmas: the premium over one sigma of the fair value. coin at 1: the premium,
were the coin worth one dollar. buy, sell: what a size would pay and get, above (+) or below (-)
fair value. No venue is judged by itself."""


def _share(share: ShareQuote, session: str) -> None:
    """What the share is worth, in words."""
    fair, name = share.fair, share.underlying
    if fair is None:
        print(f"{name}: its fair value is unknown: {share.unknown}")
        return
    print(f"{name}: one share is worth {_usd(fair.price_usd)} USD ± {_usd(fair.error_usd)} ({fair.error_bps:.1f} bps)")
    if fair.stretch >= _TELLING:
        print(f"  beware    witnesses contradict each other: error x {fair.stretch:.1f}")
    print(f"  by        {_by(fair)}")
    print(f"  95 %      {_usd(fair.low_usd)} to {_usd(fair.high_usd)}")
    print(f"  the share {_speaks(share, session)}")


def _speaks(share: ShareQuote, session: str) -> str:
    """Whether its own market says what a share is worth."""
    if share.primary:
        return "trades, and speaks for itself"
    return f"is shut ({session})" if session in ("weekend", "holiday") else "has no source that is fresh and believed"


def _by(fair: FairLine) -> str:
    """Whose word a fair value is."""
    others = f"{fair.witnesses} {'witness' if fair.witnesses == 1 else 'witnesses'}"
    if not fair.source:
        return f"{others} alone"
    alone = f"{fair.source}, {age(fair.age_s)} ago"
    return alone if not fair.witnesses else f"{alone} ({fair.own:.0%}), and {others} ({1 - fair.own:.0%})"


def _venues(venues: Sequence[VenueQuote]) -> None:
    """Premia, then what sizes would pay."""
    if not venues:
        print("  no token of it is known here")
        return
    print()
    columns: tuple[str, ...] = (
        "token", "at", "a unit, USD", "fair, USD", "error", "premium", "sigmas", "coin at 1", "age", "peg",
    )  # fmt: skip
    rows = [
        (
            venue.token,
            _at(venue, venues),
            _usd(venue.price_usd),
            _usd(venue.fair_usd),
            UNKNOWN if venue.fair is None else f"{venue.fair.error_bps:.1f}",
            _bps(venue.premium_bps),
            UNKNOWN if venue.sigmas is None else f"{venue.sigmas:+.1f}",
            _bps(venue.premium_at_par_bps),
            UNKNOWN if venue.age_s is None else age(venue.age_s),
            venue.peg_state,
        )
        for venue in venues
    ]
    watched = any(venue.peg_state for venue in venues)
    last = len(columns) if watched else -1
    print_table(columns[:last], [row[:last] for row in rows], numbers=columns[2:9], whole=columns[5:9])
    for venue in venues:
        if venue.unknown:
            print(f"  {venue.instrument}: {venue.unknown}")
        elif venue.peg_cause:
            print(f"  {venue.instrument} is {venue.peg_state}, cause: {venue.peg_cause}")
        elif venue.peg_why:
            print(f"  {venue.instrument}: its peg is {venue.peg_state}: {venue.peg_why}")
    for venue in venues:
        if venue.fair is not None and venue.siblings > _MOSTLY:
            whose = f"{venue.siblings:.0%} by tokens of its own issuer"
            print(f"  {venue.instrument} is judged {whose}: a depeg of them all together does not show")
    priced = [venue for venue in venues if venue.executable]
    if not priced:
        return
    print()
    sizes = [rung.size_usd for rung in priced[0].executable]
    sides = ("after costs", *(f"{side} {_size(size)}" for size in sizes for side in ("buy", "sell")))
    rungs = [row for venue in priced for row in (_rungs(venue), _rungs_in_sigmas(venue))]
    print_table(sides, rungs, numbers=sides[1:], whole=sides[1:])
    for why in dict.fromkeys(rung.why for venue in priced for rung in venue.executable if rung.why):
        of = [venue.instrument for venue in priced if any(rung.why == why for rung in venue.executable)]
        mark = (
            "(before costs)"
            if any(_before(rung) for venue in priced for rung in venue.executable if rung.why == why)
            else UNKNOWN
        )
        some = f" ({', '.join(of)})" if len(of) < len(priced) else ""
        print(f"  {mark}: {why}{some}")


def _beyond(answer: Quote, underlying: str) -> None:
    """Tokens over all their venues, and issuers against each other."""
    rows = [
        (f"{one.token} on {one.venues}", "fair value", _bps(one.premium_bps), one.sigmas, one.error_bps)
        for one in answer.tokens
        if one.underlying == underlying and one.venues > 1
    ]
    rows += [
        (one.token, one.over, _bps(one.premium_bps), one.sigmas, one.error_bps)
        for one in answer.issuers
        if one.underlying == underlying
    ]
    if not rows:
        return
    columns = ("token on venues", "over", "premium", "sigmas", "error")
    print()
    cells = [
        (*row, UNKNOWN if sigmas is None else f"{sigmas:+.1f}", UNKNOWN if error is None else f"{error:.1f}")
        for *row, sigmas, error in rows
    ]
    print_table(columns, cells, numbers=columns[2:], whole=columns)


def _at(venue: VenueQuote, venues: Sequence[VenueQuote]) -> str:
    """The venue's name, or the instrument's where the token has several there."""
    same = [other for other in venues if (other.venue, other.token) == (venue.venue, venue.token)]
    return venue.venue if len(same) == 1 else venue.instrument


def _rungs(venue: VenueQuote) -> list[str]:
    """A venue's line of the ladder; before costs where they are not known."""
    cells = [venue.instrument]
    for rung in venue.executable:
        cells += [_side(rung, buy=True), _side(rung, buy=False)]
    return cells


def _rungs_in_sigmas(venue: VenueQuote) -> list[str]:
    """The line below it: the same in sigmas of the fair value."""
    sides = [side for rung in venue.executable for side in (rung.buy_sigmas, rung.sell_sigmas)]
    return ["  in sigmas", *(UNKNOWN if side is None else f"{side:+.1f}" for side in sides)]


def _before(rung: Executable) -> bool:
    """Whether only its costs are unknown."""
    return rung.buy_bps is None and None not in (rung.buy_before_costs_bps, rung.sell_before_costs_bps)


def _side(rung: Executable, *, buy: bool) -> str:
    after, before = (rung.buy_bps, rung.buy_before_costs_bps) if buy else (rung.sell_bps, rung.sell_before_costs_bps)
    if after is None and before is not None:
        return f"({_bps(before)})"
    return _bps(after)


def _terms(share: ShareQuote) -> None:
    """Everybody who could say something of the share."""
    columns = ("who says", "USD a share", "offset", "so it says", "± bps", "makes", "age", "one word with")
    rows = [
        (
            term.source,
            _usd(term.price_usd),
            f"{term.offset_bps:+.1f}" if term.used else "",
            _usd(term.says_usd) if term.used else "",
            "" if term.sigma_bps is None else f"{term.sigma_bps:.1f}",
            _part(term.part) if term.used else "nothing",
            UNKNOWN if term.age_s is None else age(term.age_s),
            term.group,
        )
        for term in share.terms
    ]
    print(f"\n{share.underlying}: who says what, and how much of the fair value that makes")
    print_table(columns, rows, numbers=columns[1:7], whole=("who says", "makes", "age"))
    for term in share.terms:
        if term.used and term.funding is not None:
            told = term.funding
            paid = f"its funding of {told.rate_bps:+.3g} bps every {told.period_s / 3600:g} h"
            print(f"  {term.source}: {paid}, told {age(told.age_s)} ago,")
            print(f"    makes {told.basis_bps:+.1f} ± {told.sigma_bps:.1f} bps over the share its usual offset")
    for why in dict.fromkeys(term.why for term in share.terms if not term.used):
        names = [term.source for term in share.terms if not term.used and term.why == why]
        print(_folded(f"  nothing, since {why}: ", names))


def _controls(share: ShareQuote) -> None:
    """What the share follows besides its own prices."""
    if not share.controls or share.own_part is None:
        return
    columns = ("follows", "beta", "moved, bps", "adds, bps", "since")
    rows = [
        (
            line.control,
            f"{line.beta:.2f}",
            _bps(line.moved_bps),
            _bps(line.adds_bps),
            UNKNOWN if line.since_ns is None else moment(line.since_ns),
        )
        for line in share.controls
    ]
    print(f"\n{share.underlying}: what it follows while it is silent itself")
    print_table(columns, rows, numbers=columns[1:4], whole=columns[1:4])
    for line in share.controls:
        if line.why:
            print(fill(f"  {line.control} is not heard: {line.why}", WIDTH, subsequent_indent="    "))
    if any(line.why for line in share.controls):
        whole = ", and controls are heard together or not at all" if len(share.controls) > 1 else ""
        print(f"  so nothing of its variance is explained now{whole}")
    else:
        print(f"  they explain {1 - share.own_part:.0%} of its variance; {share.own_part:.0%} is its own and remains")


def _folded(begin: str, names: Sequence[str]) -> str:
    """Names behind a beginning, in lines of a hundred columns."""
    lines = [begin]
    for at, name in enumerate(names):
        more = name + ("," if at < len(names) - 1 else "")
        if len(lines[-1]) + len(more) > WIDTH and lines[-1].strip():
            lines.append("    ")
        lines[-1] += more + " "
    return "\n".join(line.rstrip() for line in lines)


def _error(share: ShareQuote) -> None:
    """What makes up the error."""
    if share.fair is None or not share.errors:
        return
    print(f"\n{share.underlying}: what its error of {share.fair.error_bps:.2f} bps is made of (squares add up)")
    for line in share.errors:
        what = _ERRORS.get(line.what, line.what + " of {source}").format(source=line.source, stretch=share.fair.stretch)
        print(f"  {line.sigma_bps:8.2f} bps {_part(line.part):>6}  {what}")


def _growth(share: ShareQuote) -> None:
    """How the error grows, and by which parameters."""
    print(f"  {share.underlying} moves {share.daily_vol_bps:.0f} bps on a regular day ({share.params})")
    if share.clock_days is not None:
        print(f"  since its source spoke, {share.clock_days:.4f} of such a day's moves have passed")
    if share.error_in_an_hour_bps is not None:
        print(f"  if nobody spoke for an hour of this session, the error would be {share.error_in_an_hour_bps:.1f} bps")


def _worth(venues: Sequence[VenueQuote]) -> None:
    """What a unit is worth: multiplier, what the price is of, coin, costs."""
    if not venues:
        return
    columns = ("instrument", "issuer", "multiplier", "price of", "coin", "USD", "coin's age", "fee, bps", "+ USD")
    rows = []
    for venue in venues:
        coin = venue.coin
        rows.append(
            (
                venue.instrument,
                venue.issuer or UNKNOWN,
                UNKNOWN if venue.multiplier is None else f"{venue.multiplier:g}",
                {"unit": "a unit", "share": "a share", "": "a unit"}.get(venue.basis, UNKNOWN),
                venue.quote,
                "1" if coin is None else UNKNOWN if coin.usd is None else f"{coin.usd:.5f}",
                "" if coin is None else age(coin.age_s) + ("" if coin.fresh else ", too old"),
                UNKNOWN if venue.fee_bps is None else f"{venue.fee_bps:g}",
                f"{venue.fixed_cost_usd:g}" if venue.fixed_cost_usd else "",
            )
        )
    print()
    print_table(columns, rows, numbers=("multiplier", "USD", "fee, bps", "+ USD"), whole=("instrument",))


def _judged(venues: Sequence[VenueQuote]) -> None:
    """By whom each venue is judged, and what was expected of it."""
    print()
    for venue in venues:
        if venue.fair is None:
            continue
        print(f"  {venue.instrument} is judged by {_by(venue.fair)}")
        if others := [name for name in venue.left_out if name != venue.instrument]:
            print(_folded("    without itself and its kin: ", others))
        if venue.expected_bps is not None:
            odd = "" if venue.innovation is None else f", off that by {venue.innovation:+.1f} sigmas"
            print(
                f"    premium {_bps(venue.premium_bps)}, expected {_bps(venue.expected_bps)}{odd}; {_forecast(venue)}"
            )


def _forecast(venue: VenueQuote) -> str:
    """What its next print is expected to lie above fair value."""
    wide = "" if venue.forecast_sd_bps is None else f" ± {venue.forecast_sd_bps:.1f}"
    return f"the next one {_bps(venue.forecast_bps)}{wide}"


def _usd(value: float | None) -> str:
    """An amount with the digits that matter."""
    if value is None:
        return UNKNOWN
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2g}"


def _bps(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+,.1f}"


def _part(part: float) -> str:
    """A part of one; not 0 % where there is something."""
    return f"{part:.1%}" if part >= 0.0005 or not part else "<0.1%"


def _size(usd: float) -> str:
    """A size as short as it goes."""
    return f"{usd / 1000:g}k" if usd >= 1000 and usd % 100 == 0 else f"{usd:g}"
