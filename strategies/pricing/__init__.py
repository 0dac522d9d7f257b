"""What a position or a size is worth: plain formulas, each with its source; no market, no clock."""
