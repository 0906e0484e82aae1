"""From a structure file to a residue graph."""
