"""Figures and diagrams."""
