"""How a wish becomes an approved order: the ledger and the risk review."""
