"""Shows its whole environment."""

import os

for name, value in sorted(os.environb.items()):
    print(name, value)
