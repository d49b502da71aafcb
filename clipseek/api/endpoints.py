"""The endpoints of the service, one row each, and the names of the executors, as in flow.yml.

Routes, pass-throughs, the client's repeats, metrics and the fuzz tests all derive from the table. A new endpoint needs
a row here, its document, a handler in each executor that answers it, and a method of `clipseek.Client`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clipseek.api.base_document import BaseDoc
from clipseek.api.documents import Calibration, Clip, Health, Query, Reel, Thumbnail, Upload, Video, VideoSpan

LOADER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER = "video_loader", "image_encoder", "text_encoder", "indexer"
EXECUTORS = (LOADER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER)  # in the order in which a request passes them
WITHOUT_IMAGES = f"({TEXT_ENCODER}|{INDEXER})"  # the executors that a query without images needs


@dataclass(frozen=True)
class Endpoint:
    """One row of the table.

    Attributes:
        document: what it takes and answers.
        executors: those that answer it together, in the order of the chain.
        purpose: what it does, for the documentation.
        repeatable: done twice it has the result of once, so the client repeats it after a crash of the server.
    """

    path: str
    document: type[BaseDoc]
    executors: tuple[str, ...]
    purpose: str
    repeatable: bool = True

    @property
    def only_executor(self) -> str | None:
        """The executor that answers alone, to which the client sends directly; None where several work together."""
        return self.executors[0] if len(self.executors) == 1 else None


_ROWS = (
    Endpoint("/upload", Upload, (LOADER,), "Upload a piece of a file, or ask which pieces are missing."),
    Endpoint("/server_videos", Upload, (LOADER,), "List the videos below `server_path`."),
    Endpoint("/samples", Video, (LOADER,), "Build the sample videos and list them."),
    Endpoint("/probe", Video, (LOADER, IMAGE_ENCODER, INDEXER), "Probe a video and register it in the store."),
    Endpoint("/index", VideoSpan, (LOADER, IMAGE_ENCODER, INDEXER), "Decode, embed and store a span of a video."),
    Endpoint("/search", Query, (IMAGE_ENCODER, TEXT_ENCODER, INDEXER), "Find matches, best first."),
    Endpoint("/timeline", Query, (IMAGE_ENCODER, TEXT_ENCODER, INDEXER), "The score curve and matches of one video."),
    Endpoint("/calibrate", Calibration, (TEXT_ENCODER, INDEXER), "Fit the library's scores with neutral phrases."),
    Endpoint("/clip", Clip, (LOADER,), "Cut a clip, and answer with a piece of its file."),
    Endpoint("/join", Reel, (LOADER,), "Join clips into one video, and answer with a piece of its file."),
    Endpoint("/thumbnail", Thumbnail, (LOADER,), "The picture at one time of a video."),
    Endpoint("/videos", Video, (INDEXER,), "List all videos, or describe one."),
    Endpoint("/delete", Video, (LOADER, INDEXER), "Delete a video: its file and everything stored about it."),
    # Not repeated, because it must show the state as it is.
    Endpoint(
        "/health", Health, EXECUTORS, "The state of the service, one component of each executor.", repeatable=False
    ),
)
ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({row.path: row for row in _ROWS})
