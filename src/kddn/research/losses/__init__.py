"""What networks are trained for: the paper's equations, imitation, and the total loss."""
