"""Speed: the released protocol and plain Hugging Face against this code; not part of the package."""
