"""The arithmetic: frames to frames, a module per section of docs/metrics.md."""
