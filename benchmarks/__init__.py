"""Side by side with peers: the same data, one run, ratios. See README.md."""
