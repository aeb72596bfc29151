"""Training of one network on one fold: rows on a device, networks, the loop, and checkpoints."""
