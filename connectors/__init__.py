"""The ground floor: the world outside, and its language."""
