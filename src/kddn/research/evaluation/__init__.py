"""Systems on data sets: protocols, metrics, means and reports."""
