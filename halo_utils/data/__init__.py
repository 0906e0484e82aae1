"""Proteins and their locations: data sets, splits, leaks, downloads, and the synthetic proteome."""
