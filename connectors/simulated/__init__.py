"""A seeded world for demo, tests and backtests: everything in it is made up, and it says so by its names."""
