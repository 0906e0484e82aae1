"""For authors: notebook pairs, README tables; not part of the package."""
