"""What systems cost beside each other: time, memory, arithmetic, quality, in one run."""
