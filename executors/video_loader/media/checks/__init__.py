"""Checks the kept videos for `clipseek doctor`: `media_check` in a folder, `library_check` wherever they are."""
