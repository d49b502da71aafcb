"""What all sessions of the page share: one client with its background event loop, the queue of videos, the caches."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from clipseek import Client
from clipseek.api.documents import Component
from frontend.logic.basket import Baskets
from frontend.media.clips import Clips
from frontend.media.page_folder import page_folder
from frontend.media.query_images import QueryImages
from frontend.media.thumbnails import Pictures
from frontend.uploads.queue import Ingests
from frontend.uploads.queue_folder import QueueFolder

_HEALTH_SECONDS = 15  # how long the server's account of itself is taken for true


@dataclass(frozen=True)
class Services:
    client: Client
    ingests: Ingests
    clips: Clips
    pictures: Pictures
    query_images: QueryImages
    baskets: Baskets
    folder: Path  # of what outlives the process


@st.cache_resource(show_spinner=False)
def services() -> Services:
    """The process's own; made when the first session asks."""
    client, folder = Client(), page_folder()
    return Services(
        client,
        Ingests(client, QueueFolder(folder / "queue")),
        Clips(client),
        Pictures(client),
        QueryImages(folder / "images"),
        Baskets(folder / "baskets"),
        folder,
    )


@st.cache_data(show_spinner=False, ttl=_HEALTH_SECONDS)
def health() -> list[Component]:
    """What each executor says of itself, at most 15 s old. Raises: as `Client.health`."""
    return services().client.health()
