"""A ninth venue that does everything otherwise: what it takes to listen to one that nobody has heard of."""
