"""Lies beside `uses_sibling.py`."""
