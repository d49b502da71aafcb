"""The way into a ClipSeek server for scripts, the command line and the page. `Client` is where to begin."""

from clipseek.api.endpoints import EXECUTORS
from clipseek.client.client import Client, choose_video
from clipseek.client.download import SavedClip
from clipseek.client.indexing import Indexed, OnProgress, Progress

__all__ = ["EXECUTORS", "Client", "Indexed", "OnProgress", "Progress", "SavedClip", "choose_video"]
