"""A package to run with -m."""
