"""`python -m vimerge.cli`."""

from vimerge.cli import command

if __name__ == "__main__":
    command()
