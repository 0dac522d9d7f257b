"""Writes bot/data/sessions.json from the NYSE calendar of pandas_market_calendars.

Run it when the library knows new holidays: `python scripts/make_sessions.py`. Every span is a whole number of minutes;
the file keeps the first moment, the length of each span and its session as a letter.
"""

from __future__ import annotations

import itertools
import json
from datetime import date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas_market_calendars

FIRST, LAST = date(2013, 1, 1), date(2028, 12, 31)
NEW_YORK = ZoneInfo("America/New_York")
OUT = Path(__file__).resolve().parents[1] / "bot" / "data" / "sessions.json"
DAY = timedelta(days=1)


def moment(day: date, hour: int) -> int:
    """Unix seconds of a full hour of a New York day."""
    return int(datetime.combine(day, time(hour), NEW_YORK).timestamp())


def spans(first: date, last: date) -> list[tuple[int, str]]:
    """(unix seconds, letter) of each change of session; the last entry has no letter and ends the table.

    Every weekday owns the 24 hours up to its 20:00; the weekend owns Friday 20:00 to Sunday 20:00.
    """
    schedule = pandas_market_calendars.get_calendar("NYSE").schedule(first, last)
    hours = {
        at.date(): (int(opens.timestamp()), int(closes.timestamp()))
        for at, opens, closes in zip(schedule.index, schedule["market_open"], schedule["market_close"], strict=True)
    }
    found: list[tuple[int, str]] = []
    for day in (first + DAY * n for n in range((last - first).days + 1)):
        evening_before = moment(day - DAY, 20)
        if day.weekday() >= 5:
            found.append((evening_before, "W"))
        elif day not in hours:
            found.append((evening_before, "H"))
        else:
            opens, closes = hours[day]
            found += [(evening_before, "O"), (moment(day, 4), "P"), (opens, "R"), (closes, "T")]
            if closes + 4 * 3600 < moment(day, 20):
                found.append((closes + 4 * 3600, "H"))
    changes = [span for at, span in enumerate(found) if at == 0 or found[at - 1][1] != span[1]]
    return [*changes, (moment(last, 20), "")]


def main() -> None:
    """Writes the file and says how many spans it holds."""
    table = spans(FIRST, LAST)
    minutes = [(after[0] - before[0]) // 60 for before, after in itertools.pairwise(table)]
    letters = "".join(letter for _, letter in table)
    head = {
        "schema": 1,
        "calendar": f"NYSE, pandas_market_calendars {version('pandas_market_calendars')}",
        "covers": f"{FIRST} to {LAST}, New York days that end at 20:00",
        "letters": "P pre, R regular, T post, O overnight, W weekend, H holiday",
        "start_unix_s": table[0][0],
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    rows = [",".join(map(str, minutes[at : at + 25])) for at in range(0, len(minutes), 25)]
    runs = [json.dumps(letters[at : at + 100]) for at in range(0, len(letters), 100)]
    body = ["{", *lines, '  "minutes": [', ",\n".join(rows), "  ],", '  "sessions": [', ",\n".join(runs), "  ]", "}"]
    OUT.write_text("\n".join(body) + "\n", encoding="ascii")
    print(f"{OUT.name}: {len(minutes)} spans, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
