"""x"""
def list_blocks(directory, *, deep): pass
