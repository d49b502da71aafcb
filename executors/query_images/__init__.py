"""Images to search with: `image_file` reads one, `image_decoder` is a process that does.

That process imports nothing else of the executors: torch would take memory in it.
"""
