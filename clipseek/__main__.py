"""`python -m clipseek` is the command `clipseek`."""

from clipseek.cli.main import main

if __name__ == "__main__":
    main()
