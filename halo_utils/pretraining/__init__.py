"""Appendix A1: a small ESM-2 of our own, halo-mini."""
