"""What Grafana shows: the generator of the boards, and what it generated."""
