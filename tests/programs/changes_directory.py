"""Leaves its directory between checkpoints."""

import os

import memdeep

memdeep.checkpoint("at home")
os.chdir("/")
memdeep.checkpoint("away")
print(os.getcwd(), __file__)
