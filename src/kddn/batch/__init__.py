"""Many files: what goes where, one after another or as they come."""
