"""How each venue's stream stands: what the inbox, the listening and the connections have counted, put together."""

from __future__ import annotations

from collections.abc import Mapping

from bot.config import Config
from bot.inbox import Inbox
from bot.listening import Listening
from connectors.events import NAN
from connectors.instruments import Universe
from connectors.provenance import Provenance, unpack
from connectors.vitals import Vitals
from monitoring.decisions import Tally
from monitoring.facts import FeedState, StreamState


def feed_states(
    config: Config, universe: Universe, inbox: Inbox, listening: Listening, tally: Tally, vitals: Mapping[str, Vitals]
) -> list[FeedState]:
    """Every venue's stream: up, messages taken, messages refused at the door by reason."""
    states = []
    for venue in dict.fromkeys(instrument.venue for instrument in universe):
        heard = sum(n for n, i in zip(inbox.heard, universe, strict=True) if i.venue == venue)
        table = config.venues.get(venue)
        state, why = tally.venues.get(venue, ("up" if heard else "down", ""))
        if venue in listening.gave_up:
            state = "down"
        counts = vitals.get(venue) or Vitals()
        offset = inbox.offsets.get(venue)
        states.append(
            FeedState(
                venue=venue,
                feed=table.feed if table else "none",
                up=heard > 0 and state in ("up", "degraded"),
                state=state,
                why=why,
                messages=heard,
                rejected={reason: n for (where, reason), n in inbox.rejected.items() if where == venue},
                streams=_streams(universe, inbox, venue),
                reconnects=counts.reconnects,
                calls=dict(counts.calls),
                failures=dict(counts.failures),
                used_ratio=counts.used_ratio,
                offset_s=offset[0] if offset else None,
                offset_error_s=offset[1] if offset else None,
            )
        )
    return states


def _streams(universe: Universe, inbox: Inbox, venue: str) -> tuple[StreamState, ...]:
    """How each instrument of a venue stands, by what was said against it."""
    found = []
    for number, instrument in enumerate(universe):
        state = inbox.standing.state(number) if instrument.venue == venue else None
        if state is not None:
            reasons = tuple(why.name.lower() for why in inbox.standing.reasons(number))
            health, why = state
            origin = unpack(inbox.origins.get(number, NAN))
            found.append(
                StreamState(
                    instrument=instrument.name,
                    state=health.name.lower(),
                    why=why.name.lower() if why else "",
                    reasons=reasons,
                    origin=str(origin or ""),
                    via=str(Provenance(origin.source, origin.session)) if origin else "",
                )
            )
    return tuple(found)
