"""The pieces that pages are made of. Each owns the session-state keys that begin with its name."""
