"""The whole bot on virtual time in a world that one seed makes: what `pegline selftest` runs."""
