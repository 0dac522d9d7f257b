"""What the strategy `hedge` is made of: a token against a share or a perp, from the entry to the exit."""
