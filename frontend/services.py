"""What all sessions of the page share: one client with its background event loop, the queue of films, the caches."""

from dataclasses import dataclass

import streamlit as st

from clipseek import Client
from clipseek.schema import Component
from frontend.clips import Clips
from frontend.ingest import Ingests
from frontend.pictures import Pictures

_HEALTH_SECONDS = 15  # how long the server's account of itself is taken for true


@dataclass(frozen=True)
class Services:
    client: Client
    ingests: Ingests
    clips: Clips
    pictures: Pictures


@st.cache_resource(show_spinner=False)
def services() -> Services:
    """The process's own; made when the first session asks."""
    client = Client()
    return Services(client, Ingests(client), Clips(client), Pictures(client))


@st.cache_data(show_spinner=False, ttl=_HEALTH_SECONDS)
def health() -> list[Component]:
    """What each executor says of itself, at most 15 s old. Raises: as `Client.health`."""
    return services().client.health()
