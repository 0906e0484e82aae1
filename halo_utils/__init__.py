"""Thin package behind the HALO notebooks; importing it does nothing.

The notebooks in ``notebooks/`` tell the story, the modules here do the work. Source of the method:
Ahmed, Moumi and Zhang, "HALO: Hybrid Attention Model for Subcellular Localization".
"""

__version__ = "0.1.0"
