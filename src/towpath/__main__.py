"""``python -m towpath``."""

from towpath.cli.main import main

if __name__ == "__main__":
    main()
