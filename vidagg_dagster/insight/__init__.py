"""What analysts ask: curves, figures of a video, cohorts, audience, chapters, as frames."""
