"""Every network, built from plain arguments, and the gate that joins two."""
