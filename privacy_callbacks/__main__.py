"""`python -m privacy_callbacks` is `privacy-audit`."""

from .command_line import main

main()
