"""Thin package behind the HALO notebooks (Ahmed, Moumi and Zhang); importing it does nothing."""

__version__ = "0.1.0"
