"""Is not Python."""

def broken(:
    pass
