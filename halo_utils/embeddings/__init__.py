"""Sequence in, numbers per residue out."""
