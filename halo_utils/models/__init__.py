"""Every network, one file each, built from plain arguments."""
