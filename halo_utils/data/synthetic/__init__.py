"""The synthetic proteome of the demo: sequences with planted signals, and folds."""
