"""The endpoints of the service, one row each, and the names of the executors, as in flow.yml.

Routes, what the gateway admits and repeats, the client's repeats, metrics and the fuzz tests all derive from the
table. A new endpoint needs a row here, its document, a handler in each executor that answers it, and a method of
`clipseek.Client`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clipseek.api.base_document import Document
from clipseek.api.documents import (
    Calibration,
    Clip,
    Cue,
    Health,
    Job,
    Model,
    Query,
    Reel,
    Subtitles,
    Thumbnail,
    Transcript,
    Upload,
    Video,
    VideoSpan,
    WordSpan,
)
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt

LOADER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER = "video_loader", "image_encoder", "text_encoder", "indexer"
WORD_READER = "word_reader"
EXECUTORS = (LOADER, WORD_READER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER)  # in the order in which a request passes them
WITHOUT_IMAGES = (TEXT_ENCODER, INDEXER)  # the executors that a query without images needs


@dataclass(frozen=True)
class Endpoint:
    """One row of the table.

    Attributes:
        document: what it takes and answers.
        executors: those that answer it together, in the order of the chain.
        purpose: what it does, for the documentation.
        repeatable: done twice it has the result of once, so gateway and client repeat it after a crash of an executor.
        shortcuts: fewer executors, to which a caller may send instead of to all of `executors`. The gateway itself
            takes `WITHOUT_IMAGES` for a query that has none.
        is_large: its requests hold images, so only `CLIPSEEK_MAX_REQUEST_MB` limits their size.
        instead: only the service itself may use it; callers use this endpoint.
    """

    path: str
    document: type[Document]
    executors: tuple[str, ...]
    purpose: str
    repeatable: bool = True
    shortcuts: tuple[tuple[str, ...], ...] = ()
    is_large: bool = False
    instead: str = ""

    def route(self, target: str) -> tuple[str, ...]:
        """The executors of a request, by the names that its caller wrote: `target_name(executors)`, or nothing for all.

        Raises: InvalidRequest: the endpoint does not answer there.
        """
        if route := _ROUTES.get((self.path, target)):
            return route
        choices = " or ".join(f"'{target_name(executors)}'" for executors in (self.executors, *self.shortcuts))
        raise InvalidRequest(
            f"{self.path} cannot be sent to the executor '{excerpt(target)}'. Leave out target_executor, or use "
            f"{choices}."
        )


def target_name(executors: tuple[str, ...]) -> str:
    """The executors of a request as a caller names them in `target_executor`."""
    return "|".join(executors)


SWITCH_MODEL = "/switch_model"
_QUERY = (IMAGE_ENCODER, TEXT_ENCODER, INDEXER)
_ROWS = (
    Endpoint("/upload", Upload, (LOADER,), "Upload a piece of a file, or ask which pieces are missing."),
    Endpoint("/server_videos", Upload, (LOADER,), "List the videos below `server_path`."),
    Endpoint("/samples", Video, (LOADER,), "Add the sample videos and list them."),
    Endpoint("/probe", Video, (LOADER, IMAGE_ENCODER, INDEXER), "Probe a video and register it in the store."),
    Endpoint("/index", VideoSpan, (LOADER, IMAGE_ENCODER, INDEXER), "Decode, embed and store a span of a video."),
    Endpoint("/subtitles", Subtitles, (LOADER,), "Keep a file of subtitles with a video.", is_large=True),
    Endpoint("/words", WordSpan, (LOADER, WORD_READER, INDEXER), "Read and store the words of a span of a video."),
    Endpoint("/transcript", Transcript, (INDEXER,), "The words of a video."),
    Endpoint("/correct_cue", Cue, (INDEXER,), "Correct a line of a video's words."),
    Endpoint("/search", Query, _QUERY, "Find matches, best first.", shortcuts=(WITHOUT_IMAGES,), is_large=True),
    Endpoint(
        "/timeline",
        Query,
        _QUERY,
        "The score curve and matches of one video.",
        shortcuts=(WITHOUT_IMAGES,),
        is_large=True,
    ),
    Endpoint("/calibrate", Calibration, (TEXT_ENCODER, INDEXER), "Fit the library's scores with neutral phrases."),
    Endpoint("/clip", Clip, (LOADER,), "Cut a clip, and answer with a piece of its file."),
    Endpoint("/join", Reel, (LOADER,), "Join clips into one video, and answer with a piece of its file."),
    Endpoint("/thumbnail", Thumbnail, (LOADER,), "The picture at one time of a video."),
    Endpoint("/videos", Video, (INDEXER,), "List all videos, or describe one."),
    Endpoint("/job", Job, (INDEXER,), "File a job for a registered video."),
    Endpoint("/jobs", Job, (INDEXER,), "List the jobs of the library, or describe one."),
    Endpoint("/cancel_job", Job, (INDEXER,), "Cancel a job."),
    Endpoint("/lease_job", Job, (INDEXER,), "Give the service's runner a job of any library.", instead="/job"),
    Endpoint("/report_job", Job, (INDEXER,), "Take the progress, or the end, of a runner's job.", instead="/job"),
    Endpoint(
        "/model", Model, (INDEXER,), "Name for the gateway the model that encodes for the library.", instead="/models"
    ),
    Endpoint(
        "/models",
        Model,
        (IMAGE_ENCODER, INDEXER),
        "List the models whose vectors the library has, and those it could use.",
        shortcuts=((INDEXER,),),
    ),
    Endpoint("/use_model", Model, _QUERY, "File the job that changes the library's model."),
    Endpoint("/forget_model", Model, (INDEXER,), "Remove the vectors of a model that does not answer."),
    # Sent to fewer executors, it says what is missing, and loads only what that needs.
    Endpoint(
        SWITCH_MODEL,
        Model,
        _QUERY,
        "For the service's runner: let a model answer once it has all, or say what is missing.",
        shortcuts=((IMAGE_ENCODER, INDEXER),),
        instead="/use_model",
    ),
    Endpoint("/delete", Video, (LOADER, INDEXER), "Delete a video: its file and everything stored about it."),
    # Not repeated, because it must show the state as it is. Where the chain is broken, each executor is asked alone.
    Endpoint(
        "/health",
        Health,
        EXECUTORS,
        "The state of the service, one component of each executor.",
        repeatable=False,
        shortcuts=tuple((name,) for name in EXECUTORS),
    ),
)
ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({row.path: row for row in _ROWS})


def endpoint_of(path: str) -> Endpoint:
    """The row of an endpoint. Raises: InvalidRequest: there is none."""
    if row := ENDPOINTS.get(path):
        return row
    raise InvalidRequest(f"There is no endpoint '{excerpt(path)}'. There are: {', '.join(ENDPOINTS)}.")


def _routes(row: Endpoint) -> dict[tuple[str, str], tuple[str, ...]]:
    """Every way to name the executors of an endpoint. Clients of 0.1 wrote the names as regular expressions."""
    routes = {(row.path, ""): row.executors}
    for executors in (row.executors, *row.shortcuts):
        name = target_name(executors)
        routes |= dict.fromkeys([(row.path, name), (row.path, f"^{name}$"), (row.path, f"^({name})$")], executors)
    return routes


_ROUTES: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {key: route for row in _ROWS for key, route in _routes(row).items()}
)
