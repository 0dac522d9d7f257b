"""What every connector must do, whatever its venue: one suite, run on each of them against its local server."""
