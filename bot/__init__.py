"""The roof: reads the config, puts the parts together, runs them, keeps the journal, talks to the operator."""
