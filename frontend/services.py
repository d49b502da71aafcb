"""What all sessions of the page share: one client, the queue of videos and the caches."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from clipseek import Client
from clipseek.api.documents import Component, Model, Transcript
from frontend.media.caches import ClipCache, ThumbnailCache
from frontend.media.page_folder import BasketFolder, QueryImageFolder, page_folder
from frontend.uploads.queue import IndexQueue
from frontend.uploads.queue_folder import QueueFolder

_HEALTH_SECONDS = 15  # how long an answer about the server's state is reused
_TRANSCRIPT_SECONDS, _TRANSCRIPTS = 10, 16  # how long, and of how many videos, the words are reused: one has 1 MB
_MODELS_SECONDS = 2  # the same of one about the library's models: the progress of a change is shown


@dataclass(frozen=True)
class Services:
    client: Client
    queue: IndexQueue
    clips: ClipCache
    thumbnails: ThumbnailCache
    query_images: QueryImageFolder
    baskets: BasketFolder
    folder: Path  # holds what outlives the process


@st.cache_resource(show_spinner=False)
def services() -> Services:
    """The services of this process, created when the first session needs them."""
    client, folder = Client(), page_folder()
    return Services(
        client=client,
        queue=IndexQueue(client, QueueFolder(folder / "queue")),
        clips=ClipCache(client),
        thumbnails=ThumbnailCache(client),
        query_images=QueryImageFolder(folder / "images"),
        baskets=BasketFolder(folder / "baskets"),
        folder=folder,
    )


@st.cache_data(show_spinner=False, ttl=_MODELS_SECONDS)
def library_models() -> list[Model]:
    """The library's models, at most 2 s old. Raises: as `Client.models`."""
    return services().client.models()


@st.cache_data(show_spinner=False, ttl=_TRANSCRIPT_SECONDS, max_entries=_TRANSCRIPTS)
def library_transcript(video_id: str) -> Transcript:
    """The words of a video, at most 10 s old. Raises: as `Client.transcript`."""
    return services().client.transcript(video_id)


@st.cache_data(show_spinner=False, ttl=_HEALTH_SECONDS)
def health() -> list[Component]:
    """The state of each executor, at most 15 s old. Raises: as `Client.health`."""
    return services().client.health()
