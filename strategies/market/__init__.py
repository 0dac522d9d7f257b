"""What we believe about the market now: columns, the scan, sessions, fair value and premium."""
