"""The job's rows for a peer: read from the tape with pyarrow alone, since our packages are not in its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

NAMES: Final = ["ts_recv", "instrument", "bid", "ask", "bid_size", "ask_size"]


def read(tape: Path) -> dict[str, Any]:
    """The six columns of a top-of-book quote as arrays."""
    parts = [pq.ParquetFile(part).read(columns=NAMES) for part in sorted(tape.glob("part-*.parquet"))]
    return {name: np.concatenate([part[name].to_numpy() for part in parts]) for name in NAMES}
