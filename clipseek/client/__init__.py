"""The way into a ClipSeek server for scripts, the command line and the page.

client.py has `Client`, with a short method for each request; video_names.py, queries.py, upload_source.py, indexing.py,
jobs.py, download.py and health.py do its work; transport.py sends documents over the one connection.py and translates
errors.
"""

from clipseek.api.endpoints import EXECUTORS
from clipseek.client.client import Client
from clipseek.client.download import SavedClip
from clipseek.client.indexing import Indexed, OnProgress, Progress
from clipseek.client.jobs import error_of
from clipseek.client.video_names import choose_video

__all__ = ["EXECUTORS", "Client", "Indexed", "OnProgress", "Progress", "SavedClip", "choose_video", "error_of"]
