"""The settings: read from the environment in one place, into one frozen object."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import platformdirs

from clipseek.api.errors import InvalidSetting
from clipseek.api.limits import MAX_RATE, MAX_TOP_K, MIN_RATE

DEFAULT_BIND = "127.0.0.1"
DEFAULT_PORT = 45679  # the port VCED's users know
DEFAULT_PAGE_PORT = 8501  # Streamlit's own


LOG_FORMATS = ("text", "json")
SOFTWARE, AUTO = "software", "auto"  # decoders; the others are kinds of hardware, as FFmpeg calls them
LEAST_RECALL = 0.99  # share of the ten nearest frames that an index which does not compare all has to find
EXACT_FRAMES = 100_000  # compared one by one in some 7 ms: docs/performance.md
_MOST_MESSAGE_BYTES = 2**31 - 1  # that gRPC can be told as a limit
START_ERRORS_VARIABLE = "CLIPSEEK_START_ERRORS"  # names a folder, set by the server for the executors it starts
SHARED_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the folder that prometheus_client gathers several processes' in
DOWN_SUFFIX = ".down"  # of the files there that tell the executors which processes are down


def _setting(variable: str, default: str, what: str) -> tuple[str, str, str]:
    return variable, default, what


# Field of Settings -> environment variable, default and meaning; `clipseek serve --help` and the README show the same.
VARIABLES = {
    "home": _setting("CLIPSEEK_HOME", "", "folder of the store (default: the user's data folder)"),
    "cache": _setting(
        "CLIPSEEK_CACHE", "", "folder of built models, cut clips, copies of videos (default: the user's cache folder)"
    ),
    "bind": _setting("CLIPSEEK_BIND", DEFAULT_BIND, "address to listen on"),
    "port": _setting("CLIPSEEK_PORT", str(DEFAULT_PORT), "port to listen on"),
    "page_port": _setting("CLIPSEEK_PAGE_PORT", str(DEFAULT_PAGE_PORT), "port of the page"),
    "model": _setting("CLIPSEEK_MODEL", "auto", "profile, open_clip NAME/TAG, or a model folder"),
    "device": _setting("CLIPSEEK_DEVICE", "auto", "auto, cpu or cuda (half precision there)"),
    "host": _setting("CLIPSEEK_HOST", "", "for clients: the server's address, grpc://HOST:PORT"),
    "media_roots": _setting("CLIPSEEK_MEDIA_ROOTS", "", "server folders whose videos may be indexed in place"),
    "media": _setting(
        "CLIPSEEK_MEDIA", "", "folder or URL (s3://BUCKET/PREFIX) that loaders share the videos in (default: the store)"
    ),
    "media_cache_gb": _setting("CLIPSEEK_MEDIA_CACHE_GB", "50", "size of the copies here of videos kept at a URL"),
    "frames_per_second": _setting("CLIPSEEK_FRAMES_PER_SECOND", "1", "frames looked at per second of video"),
    "ready_timeout_seconds": _setting("CLIPSEEK_READY_TIMEOUT", "600", "how long an executor may take to start"),
    "exact_frames": _setting(
        "CLIPSEEK_EXACT_FRAMES",
        str(EXACT_FRAMES),
        "frames of a library up to which a search compares all (inf: always)",
    ),
    "log_level": _setting("CLIPSEEK_LOG_LEVEL", "WARNING", "DEBUG, INFO, WARNING or ERROR"),
    "log_format": _setting("CLIPSEEK_LOG_FORMAT", "text", "text, or json: an object per line"),
    "metrics_port": _setting("CLIPSEEK_METRICS_PORT", "", "port of /metrics for Prometheus (default: none)"),
    "metrics_bind": _setting("CLIPSEEK_METRICS_BIND", DEFAULT_BIND, "address of /metrics"),
    "otlp": _setting("CLIPSEEK_OTLP", "", "HOST:PORT of a collector that traces go to, OTLP over gRPC (default: none)"),
    "engine": _setting("CLIPSEEK_ENGINE", "auto", "auto, torch, openvino or int8: what runs the model on a CPU"),
    "decoder": _setting(
        "CLIPSEEK_DECODER", SOFTWARE, "what decodes videos to be indexed: software, auto, or hardware such as cuda"
    ),
    "loader_replicas": _setting("CLIPSEEK_LOADER_REPLICAS", "1", "processes that keep and decode videos"),
    "encoder_replicas": _setting("CLIPSEEK_ENCODER_REPLICAS", "1", "processes that look at pictures with the model"),
    "shards": _setting("CLIPSEEK_SHARDS", "1", "parts of the index, a process each; `clipseek reshard` changes them"),
    "max_video_gb": _setting("CLIPSEEK_MAX_VIDEO_GB", "64", "size of a video's file"),
    "max_video_hours": _setting("CLIPSEEK_MAX_VIDEO_HOURS", "24", "length of a video"),
    "max_frame_megapixels": _setting("CLIPSEEK_MAX_FRAME_MEGAPIXELS", "40", "pixels of a video's picture (8K has 33)"),
    "max_video_frames": _setting("CLIPSEEK_MAX_VIDEO_FRAMES", "1000000", "frames of one video to be stored"),
    "max_span_frames": _setting("CLIPSEEK_MAX_SPAN_FRAMES", "4000", "frames of one span of 30 s"),
    "max_store_gb": _setting("CLIPSEEK_MAX_STORE_GB", "inf", "size of all uploaded videos together"),
    "max_query_characters": _setting("CLIPSEEK_MAX_QUERY_CHARACTERS", "10000", "length of a text to search for"),
    "max_query_parts": _setting("CLIPSEEK_MAX_QUERY_PARTS", "32", "texts, images and moments of one query"),
    "max_query_images": _setting("CLIPSEEK_MAX_QUERY_IMAGES", "8", "images of one query"),
    "max_top_k": _setting("CLIPSEEK_MAX_TOP_K", "1000", "matches of one answer"),
    "max_clip_seconds": _setting("CLIPSEEK_MAX_CLIP_SECONDS", "1800", "length of a clip"),
    "max_reel_seconds": _setting("CLIPSEEK_MAX_REEL_SECONDS", "3600", "length of clips that are joined, together"),
    "max_reel_clips": _setting("CLIPSEEK_MAX_REEL_CLIPS", "200", "clips that are joined"),
    "max_request_mb": _setting("CLIPSEEK_MAX_REQUEST_MB", "300", "size of one request"),
    "max_worker_gb": _setting("CLIPSEEK_MAX_WORKER_GB", "4", "memory of a process that decodes videos"),
    "decode_timeout_seconds": _setting(
        "CLIPSEEK_DECODE_TIMEOUT", "60", "seconds to decode one picture; 10 times its length more for a span or clip"
    ),
    "most_restarts": _setting("CLIPSEEK_MOST_RESTARTS", "5", "deaths of one process in ten minutes put up with"),
    "token": _setting("CLIPSEEK_TOKEN", "", "for clients: the token of `clipseek token add`"),
    "library": _setting("CLIPSEEK_LIBRARY", "", "for clients: the library to use (default: the token's first)"),
    "tls_cert": _setting("CLIPSEEK_TLS_CERT", "", "the server's certificate chain, a PEM file: it then speaks TLS"),
    "tls_key": _setting("CLIPSEEK_TLS_KEY", "", "the key of that certificate, a PEM file"),
    "tls_ca": _setting("CLIPSEEK_TLS_CA", "", "for clients: trust servers of this authority, a PEM file"),
    "allow_anyone": _setting("CLIPSEEK_ALLOW_ANYONE", "no", "yes: serve the network without any token"),
    "flow_secret": _setting(
        "CLIPSEEK_FLOW_SECRET", "", "what gateway and executors share (default: made at each start)"
    ),
    "requests_per_second": _setting("CLIPSEEK_REQUESTS_PER_SECOND", "200", "of one caller, on average"),
    "requests_under_way": _setting("CLIPSEEK_REQUESTS_UNDER_WAY", "128", "of one caller at a time"),
    "open_uploads": _setting(
        "CLIPSEEK_OPEN_UPLOADS", "32", "videos of one caller whose upload has begun but not ended"
    ),
}


# What an operator lets a request have; all are numbers above 0, and `inf` is none.
LIMITS = (*(name for name in VARIABLES if name.startswith("max_")), "decode_timeout_seconds")


@dataclass(frozen=True)
class Settings:
    """What can be set, with its default. `Settings.from_env()` is how programs get one; tests make their own."""

    home: Path
    cache: Path
    bind: str = DEFAULT_BIND
    port: int = DEFAULT_PORT
    page_port: int = DEFAULT_PAGE_PORT
    model: str = "auto"
    device: str = "auto"
    host: str = ""
    media_roots: tuple[Path, ...] = ()
    media: str = field(default="", repr=False)  # a URL may hold a password
    media_cache_gb: float = 50.0
    frames_per_second: float = 1.0
    ready_timeout_seconds: float = 600.0
    exact_frames: float = EXACT_FRAMES
    log_level: str = "WARNING"
    log_format: str = "text"
    metrics_port: int | None = None
    metrics_bind: str = DEFAULT_BIND
    otlp: str = ""
    engine: str = "auto"
    decoder: str = SOFTWARE
    loader_replicas: int = 1
    encoder_replicas: int = 1
    shards: int = 1
    max_video_gb: float = 64.0
    max_video_hours: float = 24.0
    max_frame_megapixels: float = 40.0
    max_video_frames: float = 1_000_000
    max_span_frames: float = 4000
    max_store_gb: float = math.inf
    max_query_characters: float = 10_000
    max_query_parts: float = 32
    max_query_images: float = 8
    max_top_k: float = MAX_TOP_K
    max_clip_seconds: float = 1800.0
    max_reel_seconds: float = 3600.0
    max_reel_clips: float = 200
    max_request_mb: float = 300.0
    max_worker_gb: float = 4.0
    decode_timeout_seconds: float = 60.0
    most_restarts: int = 5
    token: str = field(default="", repr=False)
    library: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    allow_anyone: bool = False
    flow_secret: str = field(default="", repr=False)
    requests_per_second: float = 200.0
    requests_under_way: int = 128
    open_uploads: int = 32

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment.

        Raises:
            InvalidSetting: a value does not fit; the message names the variable and the value.
        """
        environ = os.environ if environ is None else environ
        text = {name: environ.get(variable, "") or default for name, (variable, default, _) in VARIABLES.items()}
        return cls(
            home=Path(text["home"] or platformdirs.user_data_path("clipseek")).expanduser().absolute(),
            cache=Path(text["cache"] or platformdirs.user_cache_path("clipseek")).expanduser().absolute(),
            bind=text["bind"],
            port=_port(text["port"]),
            page_port=_port(text["page_port"], "page_port"),
            model=text["model"],
            device=_choice("device", text["device"].lower(), ("auto", "cpu", "cuda")),
            host=text["host"],
            media_roots=tuple(Path(p).expanduser().resolve() for p in text["media_roots"].split(os.pathsep) if p),
            media=_folder_or_url(text["media"]),
            media_cache_gb=_positive("media_cache_gb", text["media_cache_gb"]),
            frames_per_second=_rate(text["frames_per_second"]),
            ready_timeout_seconds=_positive("ready_timeout_seconds", text["ready_timeout_seconds"]),
            log_level=_choice("log_level", text["log_level"].upper(), ("DEBUG", "INFO", "WARNING", "ERROR")),
            log_format=_choice("log_format", text["log_format"].lower(), LOG_FORMATS),
            metrics_port=_port(text["metrics_port"], "metrics_port") if text["metrics_port"] else None,
            metrics_bind=text["metrics_bind"],
            otlp=_address("otlp", text["otlp"]),
            engine=_choice("engine", text["engine"].lower(), ("auto", "torch", "openvino", "int8")),
            decoder=text["decoder"].lower(),
            exact_frames=_limit("exact_frames", text["exact_frames"]),
            loader_replicas=_count("loader_replicas", text["loader_replicas"], least=1),
            encoder_replicas=_count("encoder_replicas", text["encoder_replicas"], least=1),
            shards=_count("shards", text["shards"], least=1),
            **{name: _limit(name, text[name]) for name in LIMITS},
            most_restarts=_count("most_restarts", text["most_restarts"]),
            token=text["token"],
            library=text["library"],
            tls_cert=text["tls_cert"],
            tls_key=text["tls_key"],
            tls_ca=text["tls_ca"],
            allow_anyone=_choice("allow_anyone", text["allow_anyone"].lower(), ("yes", "no")) == "yes",
            flow_secret=text["flow_secret"],
            requests_per_second=_positive("requests_per_second", text["requests_per_second"]),
            requests_under_way=_count("requests_under_way", text["requests_under_way"], least=1),
            open_uploads=_count("open_uploads", text["open_uploads"], least=1),
        )

    def to_env(self) -> dict[str, str]:
        """The environment that `from_env` reads back as these settings."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["media_roots"] = os.pathsep.join(str(p) for p in self.media_roots)
        values["metrics_port"] = self.metrics_port or ""
        values["allow_anyone"] = "yes" if self.allow_anyone else "no"
        return {VARIABLES[name][0]: str(value) for name, value in values.items()}

    def to_flow_env(self) -> dict[str, str]:
        """The environment that `flow.yml` and the processes of the Flow take their values from."""
        host, _, port = self.otlp.rpartition(":")
        return self.to_env() | {
            "CLIPSEEK_READY_TIMEOUT_MS": str(round(self.ready_timeout_seconds * 1000)),
            "CLIPSEEK_TRACING": str(bool(self.otlp)),
            "CLIPSEEK_OTLP_HOST": f"http://{host}",  # else OpenTelemetry takes it for a collector with TLS
            "CLIPSEEK_OTLP_PORT": port or "0",
        }

    @property
    def max_request_bytes(self) -> int:
        """`max_request_mb` as gRPC takes it: -1 is no limit."""
        return round(self.max_request_mb * 1e6) if self.max_request_mb * 1e6 <= _MOST_MESSAGE_BYTES else -1

    @property
    def media_url(self) -> str:
        """Where videos are kept that are in no folder; empty if they are in one."""
        return self.media if _is_url(self.media) else ""

    @property
    def server_host(self) -> str:
        """The address that a client connects to: CLIPSEEK_HOST, else this machine's own server."""
        return self.host or local_host(self)


def local_host(settings: Settings) -> str:
    """The address at which a client on this machine reaches the server that is started with these settings."""
    scheme = "grpcs" if settings.tls_cert else "grpc"
    return f"{scheme}://{local_address(settings.bind)}:{settings.port}"


def local_address(bind: str) -> str:
    """The address at which this machine reaches what listens on another, which may stand for all that it has."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)


def is_tls(host: str) -> bool:
    """Whether an address is one of a server that speaks TLS."""
    return host.strip().startswith("grpcs://")


def parse_host(host: str) -> tuple[str, int]:
    """Split `grpc://HOST:PORT`, `grpcs://HOST:PORT`, `HOST:PORT` or `HOST`; the port defaults to 45679.

    Raises:
        InvalidSetting: it is none of these.
    """
    found = re.fullmatch(r"(?:grpcs?://)?(\[[0-9A-Fa-f:]+\]|[^\s/:\[\]]+)(?::([0-9]+))?/?", host.strip())
    if not found:
        raise InvalidSetting(
            f"'{host}' is not a server address. Write it as grpc://HOST:PORT, e.g. grpc://127.0.0.1:45679"
        )
    return found[1], _port(found[2]) if found[2] else DEFAULT_PORT


def _is_url(text: str) -> bool:
    return "://" in text


def _folder_or_url(text: str) -> str:
    return text if _is_url(text) or not text else str(Path(text).expanduser().absolute())


def _port(text: str, name: str = "port") -> int:
    if not re.fullmatch("[0-9]+", text) or not 0 < int(text) < 65536:
        raise InvalidSetting(f"'{text}' is not a port: {VARIABLES[name][0]} takes a number from 1 to 65535")
    return int(text)


def _address(name: str, text: str) -> str:
    """`text` as HOST:PORT, or empty."""
    if text and not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s/:\[\]]+):[0-9]+", text):
        raise InvalidSetting(f"{VARIABLES[name][0]} is '{text}', but must be HOST:PORT, e.g. 127.0.0.1:4317")
    return text


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise InvalidSetting(f"{VARIABLES[name][0]} is '{text}', but must be a number above 0")
    return value


def _limit(name: str, text: str) -> float:
    return math.inf if text == "inf" else _positive(name, text)


def _count(name: str, text: str, *, least: int = 0) -> int:
    if not re.fullmatch("[0-9]+", text) or int(text) < least:
        raise InvalidSetting(f"{VARIABLES[name][0]} is '{text}', but must be a whole number, {least} or more")
    return int(text)


def _rate(text: str) -> float:
    value = _positive("frames_per_second", text)
    if not MIN_RATE <= value <= MAX_RATE:
        raise InvalidSetting(
            f"{VARIABLES['frames_per_second'][0]} is '{text}', but must be from {MIN_RATE:g} to {MAX_RATE:g}"
        )
    return value


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidSetting(f"{VARIABLES[name][0]} is '{value}', but must be one of {', '.join(allowed)}")
    return value
