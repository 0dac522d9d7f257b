"""Answers bent out of shape, through ccxt's REST parsers and the production rounds that ask for them."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from connectors.cex.instance import redirected
from connectors.cex.rest import translated
from connectors.cex.rounds import Rounds
from connectors.cex.said import Said
from connectors.events import Kind, Row
from tests.connectors.ccxt_cases import CASES, Case
from tests.connectors.ccxt_offline import Offline
from tests.fuzz import FRAMES, LONG, mutate
from tests.servers.heard import Heard, setup_for

BOOK = {"bids": [[400.1, 3.0]], "asks": [[400.3, 2.0]]}
ROUNDS = {"status_s": 0.0, "funding_s": 0.0}


@pytest.fixture(scope="module")
def pro() -> Any:
    """ccxt.pro; its import takes seconds, so the tests of this file share it."""
    import ccxt.pro

    return ccxt.pro


class Desk:
    """Rest without patience: one call, and ccxt's errors as ours."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.failures: Counter[str] = Counter()

    async def call(self, module: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """As Rest, which asks again besides."""
        try:
            return await ask()
        except Exception as error:
            ours = translated(module, error, self.venue)
            self.failures[ours.word] += 1
            raise ours from error


class Answers:
    """One venue's rounds over answers of its local server, bent by `bend` on their way to ccxt's parsers."""

    def __init__(self, pro: Any, case: Case) -> None:
        self.made, self.desk, self.heard = Offline(pro, case), Desk(case.instrument.venue), Heard()
        self.pro, self.case, self.asked = pro, case, Counter[str]()
        self.bend: Callable[[bytes], bytes] = bytes
        self.left = 0

    def hear(self, count: int) -> None:
        """Goes the rounds until `count` answers were given; raises what the rounds raise."""
        self.left = count
        self.made.loop.run_until_complete(self._rounds())

    async def _rounds(self) -> None:
        made, case, over = self.made, self.case, asyncio.Event()
        async with case.server() as server:
            await case.whole(server, [("400.1", "3")], [("400.3", "2")])
            made.exchange.urls["api"] = redirected(made.exchange.urls["api"], server.url)
            setup = setup_for(server, case.instrument, options=ROUNDS, compare_s=0.0)
            number = {case.instrument.name: 0}
            rounds = Rounds(
                setup, made.quirk, made.lane, self.desk, self.pro, made.exchange, made.tap, self.heard,  # type: ignore[arg-type]  # a Desk
                Said(self.heard), [case.instrument], number,
            )  # fmt: skip
            fetch, known = made.exchange.fetch, dict[str, bytes]()

            async def bent(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
                made.tap.begin()
                made.tap.state({**BOOK, "symbol": made.symbol})
                key = f"{url.partition('?')[0]} {body or ''}"
                if key not in known:
                    known[key] = json.dumps(await fetch(url, method, headers, body)).encode()
                self.left -= 1
                if self.left <= 0:
                    over.set()
                self.asked[key] += 1
                await asyncio.sleep(0)
                return _parsed(self.bend(known[key]))

            made.exchange.fetch, made.exchange.throttle = bent, _at_once
            made.tap.listed.set()
            going, done = asyncio.ensure_future(rounds.run()), asyncio.ensure_future(over.wait())
            await asyncio.wait((going, done), return_when=asyncio.FIRST_COMPLETED)
            if going.done():
                going.result()
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            made.exchange.fetch = fetch


async def _at_once(*_: Any) -> None:
    """ccxt's own throttle, open."""


def _parsed(answer: bytes) -> Any:
    """As ccxt hands an answer to its parsers: JSON, or the text where it is none."""
    text = answer.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def sane(row: Row) -> bool:
    """Whether a row says only what a venue can mean: finite, and prices above zero."""
    finite = all(math.isnan(v) or math.isfinite(v) for v in (row.bid, row.ask, row.bid_size, row.ask_size, row.extra))
    if row.kind is Kind.FUNDING:
        return finite and math.isfinite(row.bid) and not row.ask <= 0.0 and not row.ask_size <= 0.0
    return finite


@LONG
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_bent_answers_are_rows_or_refusals_and_no_round_falls_over_them(pro: Any, case: Case) -> None:
    """
    Whatever a venue answers, each round goes on, what is said of it is finite, and no exception is unforeseen; as the
    answers are, nothing is refused.
    """
    answers, rng = Answers(pro, case), Random(5)
    answers.hear(50)
    assert not answers.heard.rejected
    funded = any(row.kind is Kind.FUNDING for row in answers.heard.rows)
    answers.heard.rows.clear()
    answers.bend = lambda answer: mutate(rng, answer)
    answers.hear(FRAMES // 10)
    rows = [row for row in answers.heard.rows if row.kind is not Kind.HEALTH]
    assert not [row for row in rows if not sane(row)]
    refused, failures = Counter(word for _, word in answers.heard.rejected.elements()), answers.desk.failures
    print(f"{case.name}: {len(rows)} rows, rounds {dict(refused)}, ccxt {dict(failures)}, asked {len(answers.asked)}")
    assert failures["bad_message"] > 0 == failures["unforeseen"]
    assert funded is any(row.kind is Kind.FUNDING for row in rows)
    assert refused
    answers.made.close()


@pytest.mark.parametrize("digits", ["9223372036854775807", "-9223372036854775808", "101"])
def test_a_precision_of_endless_digits_is_refused_before_it_is_counted_out(pro: Any, digits: str) -> None:
    """
    One number in a list of markets cannot hold up the whole process; what a market can have is read as ever.
    """
    made = Offline(pro, CASES[0])
    with pytest.raises(ValueError, match="digits"):
        made.exchange.parse_precision(digits)
    assert ("0.00000001", "1", "100", None) == tuple(map(made.exchange.parse_precision, ("8", "0", "-2", None)))
    made.close()
