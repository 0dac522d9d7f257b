"""The windows: metrics, status page and narration; reads, never writes."""
