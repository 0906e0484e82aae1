"""Ground floor: errors, paths, files, devices and the per-residue store."""
