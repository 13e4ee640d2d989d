"""Report, metrics, pictures: reads results and journals, never the loop."""
