"""A front for programs written for VCED: they find their own requests answered by a ClipSeek server."""
