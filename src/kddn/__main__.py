"""`python -m kddn` is `kddn`."""

import sys


def main() -> None:
    """Run the command line, which may be interrupted while it is still being imported too."""
    try:
        from kddn.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:  # as which modules in C++ pass on what interrupts their import
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        sys.exit(130)


if __name__ == "__main__":
    main()
