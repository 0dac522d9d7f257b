"""One daemon on every venue at once, and one fault at a time: what it sees is what the venues show."""
