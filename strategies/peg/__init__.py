"""Peg alarms: states, the detector of one venue, causes, and what a token's venues come to together."""
