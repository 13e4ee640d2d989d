"""The deterministic core, pure: step(event) gives effects; risk decides, nothing else acts."""
