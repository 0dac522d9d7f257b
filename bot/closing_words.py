"""What the strategy mint_redeem's reasons mean, and what its plans do, in words."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "small": "the premium is {edge} after the venue's costs, and {least} are asked for",
    "thin": "it expects {edge} of its {size}, and {least} are asked for",
    "too_far": "a premium beyond {most} is a broken peg or a wrong number",
    "wait_for_more": "it would pay {edge}, but minting again and again pays best from a larger premium on",
    "request_open": "a request of this share is open there",
    "out_waits": "tokens that were minted with a hedge wait to be redeemed first",
    "out_instead": "tokens that were minted with a hedge go out first",
    "refill_instead": "what is held is sold instead",
    "first_instead": "it mints with a hedge instead",
    "redeem_instead": "it redeems instead",
    "nothing_held": "nothing is held at {venue} that could be sold now",
    "no_hedge": "no perp or share that would hedge it may be sold now",
    "short_there": "what is bought at {venue} only covers what was sold there",
    "no_size": "less than a lot is shown",
    "no_door": "this run has no door of {issuer}",
    "issuer_closed": "{issuer} takes no requests on now",
    "below_issuer_least": "{issuer} takes only more in a request",
    "above_issuer_most": "{issuer} takes only less in a request",
    "no_issuer_quote": "{issuer} gives no price",
    "not_minted": "{issuer} does not mint for us",
    "not_redeemed": "{issuer} does not redeem for us",
    "not_traded": "{venue} may not be traded now",
    "fair_unknown": "what the share is worth is not known",
    "no_price": "what hedges it, or is given for it, has no price now",
    "cost_unknown": "what holding its hedge costs is not known",
}
"""Its reasons; {edge} is what it expects, {least} what it asks for, {most} what it believes, {size} what it trades."""


def plan(kind: str, venue: str, issuer: str, units: str = "", hedge: str = "") -> tuple[str, ...]:
    """What a plan does, in order; `hedge` is empty where nothing hedges."""
    so_many = f"{units} " if units else ""
    if kind == "refill":
        return f"sell {so_many}of what is held at {venue}", f"mint as many anew at {issuer}"
    if kind == "redeem":
        return f"buy {so_many}at {venue}", f"redeem at {issuer}"
    if not hedge:
        return f"mint {so_many}at {issuer} with nothing that hedges", f"sell at {venue} when they come"
    last = f"sell at {venue} when they come, and the hedge back"
    return f"sell {so_many}at {hedge} as the hedge", f"mint at {issuer}", last
