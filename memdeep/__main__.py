"""`python -m memdeep` is the command `memdeep`."""

from memdeep.cli.main import main

if __name__ == "__main__":
    main()
