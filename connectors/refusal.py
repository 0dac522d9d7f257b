"""What an HTTP status that is no answer means, for calls and handshakes alike, and how long it asks us to wait."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from connectors.errors import BadMessage, ConnectorError, EntitlementLost, Maintenance, RateLimited, VenueUnreachable
from connectors.events import NS

MAX_RETRY_AFTER_S: Final = 7 * 86_400.0
"""A venue that asks for more patience than a week gets a week: bans of three days are documented, longer ones are
taken for nonsense."""


def refused(venue: str, status: int, headers: Mapping[str, str], now_ns: int = 0) -> ConnectorError:
    """The error of a status other than 200 or 101; a date in Retry-After is read by the answer's own Date, else by
    `now_ns`."""
    said = f"the venue answers {status}"
    if status in (418, 429):
        now = http_date_ns(headers.get("Date", "")) or now_ns
        return RateLimited(said, where=venue, retry_after_s=retry_after_s(headers.get("Retry-After", ""), now))
    if status in (401, 403):
        return EntitlementLost(said, where=venue)
    if status == 503:
        return Maintenance(said, where=venue)
    return VenueUnreachable(said, where=venue) if status >= 500 else BadMessage(said, where=venue)


def unreachable(venue: str, what: str, error: BaseException) -> VenueUnreachable:
    """The error of a connection that failed. To be raised `from None`: the words of the library, its address with a
    key in it among them, go no further than what names a host.
    """
    words = str(error) if isinstance(error, OSError) else type(error).__name__
    return VenueUnreachable(f"{what}: {words}", where=venue)


def retry_after_s(header: str, now_ns: int) -> float | None:
    """Seconds to wait by a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3); None where it has none."""
    try:
        wait_s = float(header)
    except ValueError:
        date_ns = http_date_ns(header)
        if date_ns is None or not now_ns:
            return None
        wait_s = (date_ns - now_ns) / NS
    return min(max(0.0, wait_s), MAX_RETRY_AFTER_S) if wait_s == wait_s else None


def http_date_ns(text: str) -> int | None:
    """An HTTP date, ns UTC; None where the text is none."""
    try:
        return round(parsedate_to_datetime(text).timestamp()) * NS
    except (ValueError, TypeError, OverflowError):
        return None
