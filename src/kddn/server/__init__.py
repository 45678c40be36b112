"""Haze removal over HTTP: the page, and an interface for programs."""
