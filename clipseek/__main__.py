"""`python -m clipseek` is the command `clipseek`."""

from clipseek.cli import main

if __name__ == "__main__":
    main()
