"""Which residues, features and edges a prediction rests on, and rules of known sorting signals to hold it against."""
