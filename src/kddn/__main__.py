"""`python -m kddn` is `kddn`."""

from kddn.cli import main

main()
