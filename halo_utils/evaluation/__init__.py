"""Numbers from stored probabilities; imports no network."""
