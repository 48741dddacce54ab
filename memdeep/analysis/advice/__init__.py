"""Advice on findings: the case, the tables of telling calls, the judges."""
