"""The best way to sell or buy so many tokens, for a person."""

from __future__ import annotations

from textwrap import fill

from bot.tables import WIDTH, print_table
from bot.terminal import printable
from monitoring.narrate import utc
from monitoring.routed import ChangeLine, Routed


def tell(answer: Routed) -> None:
    """Prints it."""
    doing, token = "buying" if answer.buy else "selling", printable(answer.token)
    print(f"{doing} {answer.units:,.10g} {token} at once, {utc(answer.now_ns)}")
    if answer.usd is None or answer.average_usd is None:
        print("  nothing: no venue may be used now, or an order would cost more than it brings")
    else:
        if answer.filled < answer.units * (1 - 1e-9):
            print(f"  only {answer.filled:,.10g} of them: the venues show no more")
        word, other = ("costs", "less than") if answer.buy else ("brings", "more than")
        print(f"  {word} {answer.usd:,.2f} USD after all costs, {answer.average_usd:,.4f} a unit")
        if answer.worse_bps is not None and answer.fair_usd is not None:
            side = "worse" if answer.worse_bps >= 0 else "better"
            print(f"  that is {abs(answer.worse_bps):.1f} bps {side} than fair value, {answer.fair_usd:,.4f}")
        else:
            print("  fair value is unknown")
        if answer.marginal_usd is not None:
            print(f"  one more unit: {answer.marginal_usd:,.4f} USD")
        each = " before what each order costs" if answer.fixed_usd else ""
        print(f"  no other way {word} {other} {answer.bound_usd:,.2f} USD{each}")
        _table(answer)
    for one in answer.left_out:
        _say(f"left out: {printable(one.instrument)}: {printable(one.why)}")


def _table(answer: Routed) -> None:
    """What is done where."""
    names = ("at", "units", "amount", "of", "USD", "USD a unit", "+ USD")
    rows = [
        (
            printable(line.instrument),
            f"{line.units:,.6g}",
            f"{line.amount:,.2f}",
            printable(line.quote),
            f"{line.usd:,.2f}",
            f"{line.price_usd:,.4f}",
            f"{line.fixed_usd:g}" if line.fixed_usd else "",
        )
        for line in answer.lines
    ]
    print()
    print_table(names, rows, numbers=("units", "amount", "USD", "USD a unit", "+ USD"), whole=("at",))
    for change in answer.changes:
        _say(_change(change, answer.buy))


def _change(change: ChangeLine, buy: bool) -> str:
    """Where a coin is changed."""
    coins, usd = f"{change.coins:,.2f} {printable(change.coin)}", f"{change.usd:,.2f} USD"
    first, second = (usd, coins) if buy else (coins, usd)
    if change.at:
        return f"{first} for {second} at {printable(change.at)}"
    return f"{first} count as {second}: {printable(change.coin)} at its price, whatever the size"


def _say(text: str) -> None:
    """A line, folded where it is long; a name is never cut."""
    print(fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False))
