"""The quiet rooms: what we believe and what we wish; pure, synchronous, no clock, no network."""
