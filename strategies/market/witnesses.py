"""What the evidence timer writes into the columns: who is a witness of its share, and what prints should be like."""

from __future__ import annotations

from math import inf

from strategies.market import kernel as K
from strategies.market.readings import Forecast, Readings


class Witnesses(Readings):
    """The part of Columns that the timer writes."""

    def weigh(self, number: int, weight: float, offset: float) -> None:
        """How much an instrument's price says of its share, from now on.

        Its price x (1 - `offset`) is what it says of the share, and `weight` is 1 / variance of the logarithm of that.
        A source of the share that is weighed is a witness from then on and no own evidence. Without a weight that is a
        number above zero, and while anything speaks against the instrument, nobody listens to it. Both are rounded, so
        that the last digit of a logarithm, which differs between machines, is in no decision.
        """
        self.weighed = True
        good = 0 < weight < inf and -inf < offset < 1 and not self.doubts.item(number)
        self.f[number, K.WEIGHT] = float(f"{weight:.7g}") if good else 0.0
        self.f[number, K.LEAN] = 1 - round(offset, 10) if good else 1.0

    def weigh_own(self, group: int, price: float, variance: float, now: int, heard: int) -> None:
        """What the share's own sources together are worth at `now`: a price and the variance of its logarithm.

        It stands for the best source until that has a print later than `heard`, and its error grows as usual. Rounded
        as weights are; without numbers above zero the best source stands for itself.
        """
        self.weighed = True
        good = 0 < price < inf and 0 < variance < inf
        if good:
            clock = self.p.item(K.CLOCK) + self.p.item(K.CLOCK_RATE) * float(now - self.q.item(K.CLOCK_TS))
            self.g[group, K.OWN_MID] = float(f"{price:.12g}")
            self.g[group, K.OWN_KEY] = float(f"{variance:.7g}") - self.g.item(group, K.VOL2) * clock
        self.h[group, K.OWN_TS] = heard if good else -1

    def hush(self, number: int) -> None:
        """Nobody listens to a witness until it is weighed anew."""
        if self.f.item(number, K.WEIGHT) > 0:
            self.f[number, K.WEIGHT] = 0.0

    def expect(self, number: int, premium: float, variance: float) -> None:
        """What prints of an instrument after its last one are expected to be: log(price / leave-one-out fair value).

        `variance` is that of what a print will be found off by, but for its own spread. The prints until now stay
        judged by what was expected before. Rounded as weights are.
        """
        prints = self.k_rows[number][K.PRINTS]
        if prints != self.digested[number]:
            self.judged_by[number], self.digested[number] = self.forecasts[number], prints
        self.forecasts[number] = Forecast(round(premium, 10), float(f"{variance:.7g}"))
