"""What one print of a token says of its peg: how far it is off, in bps, in sigmas, and against what was expected."""

from __future__ import annotations

import msgspec

from strategies.market.fair import FairValue
from strategies.market.session import Session


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """The last believed print of a token instrument against the fair value of its share by everybody else."""

    instrument: int
    ts: int
    """ts_recv of the print, ns UTC."""
    prints: int
    """Number of the print: tells a new one from an old one."""
    session: Session
    price: float
    """USD per share."""
    fair: FairValue
    """Without the instrument itself."""
    premium_bps: float
    sigmas: float
    """The premium over one sigma of the fair value; nan where that has no error."""
    innovation: float
    """(log(price / fair) - expected premium) / sd, with sd^2 the variance of the forecast of its log price, by all that
    was heard before it, and of the print: nearly N(0, 1) while the peg is ordinary."""
    expected_bps: float
    """What the premium was expected to be before this print."""
    witnesses: int
    """Independent witnesses of the fair value besides the share's own evidence."""
    primary: bool
    """The share itself speaks: its source is fresh, believed and not in doubt."""
