"""What is trained: embedder, losses, and the Lightning module that joins them. Needs torch (`lookalike[train]`)."""
