"""Lightning loaders from a manifest. Needs torch (`lookalike[train]`)."""
