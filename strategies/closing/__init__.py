"""How a premium can be closed: every path, what it is worth after costs, how long it takes and what can go wrong."""
