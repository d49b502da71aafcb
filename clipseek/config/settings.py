"""The settings: each declared once, all read from the environment in one place into one frozen object."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from clipseek.api.limits import WORD_SOURCES
from clipseek.api.picture_fit import FITS
from clipseek.config import parsing
from clipseek.config.addresses import DEFAULT_BIND, DEFAULT_PORT, local_address
from clipseek.config.declaration import Setting, rows_of, setting, text_of
from clipseek.config.groups import Clients, Monitoring, Processes, Security
from clipseek.config.limits import Limits
from clipseek.config.profiles import MODEL_NAMES

SOFTWARE, AUTO = "software", "auto"  # decoders; the others are kinds of hardware, by FFmpeg's names
EXACT_FRAMES = 100_000  # compared one by one in about 7 ms: docs/performance.md
LEAST_RECALL = 0.99  # share of the ten nearest frames that an index must find if it does not compare all frames
_MOST_MESSAGE_BYTES = 2**31 - 1  # the largest limit that gRPC accepts
START_ERRORS_VARIABLE = "CLIPSEEK_START_ERRORS"  # names a folder; the server sets it for the executors it starts
SHARED_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the folder in which prometheus_client gathers all processes
DOWN_SUFFIX = ".down"  # of files in the start folder that tell executors which processes are down


def _users_folder(kind: str) -> Path:
    import platformdirs

    path = platformdirs.user_data_path("clipseek") if kind == "data" else platformdirs.user_cache_path("clipseek")
    return path.expanduser().absolute()


@dataclass(frozen=True)
class Common:
    """What one server needs."""

    home: Path = setting(  # noqa: RUF009 (it makes a field)
        "CLIPSEEK_HOME",
        lambda: _users_folder("data"),
        "folder of the store",
        parse=parsing.folder,
        default_words="the user's data folder",
        details="It holds `media/`, `index.db` and the index made from it.",
    )
    cache: Path = setting(  # noqa: RUF009
        "CLIPSEEK_CACHE",
        lambda: _users_folder("cache"),
        "folder of built models, cut clips and copies of videos",
        parse=parsing.folder,
        default_words="the user's cache folder",
        details="You can delete it, except `int8/`.",
    )
    bind: str = setting("CLIPSEEK_BIND", DEFAULT_BIND, "address to listen on")
    port: int = setting("CLIPSEEK_PORT", DEFAULT_PORT, "port to listen on", parse=parsing.port)
    page_port: int = setting(
        "CLIPSEEK_PAGE_PORT",
        8501,  # Streamlit's own
        "port of the page",
        parse=parsing.port,
        details="The page listens on 127.0.0.1.",
    )
    model: str = setting(
        "CLIPSEEK_MODEL",
        "auto",
        f"the model: {', '.join(MODEL_NAMES)}, open_clip NAME/TAG, or a model folder",
        details="`clipseek model list` shows them; see `docs/models.md`.",
    )
    model_download: bool = setting(
        "CLIPSEEK_MODEL_DOWNLOAD",
        False,
        "download a missing model that CLIPSEEK_MODEL names when the service starts: yes or no",
        parse=parsing.yes_or_no,
        details="`auto` downloads nothing. `clipseek model get` shows progress; this is for containers.",
    )
    picture_fit: str = setting(
        "CLIPSEEK_PICTURE_FIT",
        "auto",
        "how wide pictures go into the model's square: auto, squash, pad or crop",
        parse=parsing.choice("auto", *FITS),
        details="`crop` cuts off what lies beside the middle. Another fit is another model, see `docs/models.md`.",
    )
    device: str = setting(
        "CLIPSEEK_DEVICE",
        "auto",
        "where the model runs: auto, cpu or cuda (in half precision)",
        parse=parsing.choice("auto", "cpu", "cuda"),
    )
    engine: str = setting(
        "CLIPSEEK_ENGINE",
        "auto",
        "what runs the model on a CPU: auto, torch, openvino or int8",
        parse=parsing.choice("auto", "torch", "openvino", "int8"),
        details="`auto` is `openvino` if it is installed: the same vectors, faster. For `int8` see `docs/models.md`.",
    )
    decoder: str = setting(
        "CLIPSEEK_DECODER",
        SOFTWARE,
        "what decodes videos for indexing: software, auto, or hardware such as cuda",
        parse=parsing.lower_case,
        details="Any hardware that FFmpeg offers; see `docs/performance.md`.",
    )
    frames_per_second: float = setting(
        "CLIPSEEK_FRAMES_PER_SECOND",
        1.0,
        "frames to look at per second of video",
        parse=parsing.rate,
        details="`clipseek index --fps` sets it for one video.",
    )
    exact_frames: float = setting(
        "CLIPSEEK_EXACT_FRAMES",
        float(EXACT_FRAMES),
        "largest library, in frames, in which a search compares every frame (inf: any)",
        parse=parsing.limit,
        details="See `docs/performance.md`.",
    )
    words: str = setting(
        "CLIPSEEK_WORDS",
        AUTO,
        "which words of videos to read: auto, off, or some of subtitles, screen and speech",
        parse=parsing.word_sources,
        details="Separate them with commas. `auto` is all that is installed; see `docs/words.md`.",
    )
    speech_model: str = setting(
        "CLIPSEEK_SPEECH_MODEL",
        "auto",
        "the model that recognises speech: auto, a name such as small, or a folder",
        details="`auto` takes `small` if it is in the cache of the model hub, else the base model of the extra "
        "`words`. It downloads nothing.",
    )
    media_roots: tuple[Path, ...] = setting(
        "CLIPSEEK_MEDIA_ROOTS",
        (),
        "server folders whose videos can be indexed where they are",
        parse=parsing.folders,
        details="Separate them with `:`. `clipseek index --on-server` uses them. If there are tokens, only those made "
        "with `clipseek token add NAME --server-folders` allow this.",
    )


GROUPS: Mapping[str, type] = MappingProxyType(
    {
        "common": Common,
        "clients": Clients,
        "limits": Limits,
        "processes": Processes,
        "security": Security,
        "monitoring": Monitoring,
    }
)
"""The tables in which the documentation shows the settings."""

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {name: row for group in GROUPS.values() for name, row in rows_of(group).items()}
)
"""How each field of Settings is set, by the field's name."""


@dataclass(frozen=True)
class Settings(Monitoring, Security, Processes, Limits, Clients, Common):  # fields come in the opposite order
    """All that can be set. Programs use `Settings.from_env()`; tests make their own."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment. A variable that is unset or empty leaves the default.

        Raises: InvalidSetting: a value does not fit; the message names the variable, the value and what is allowed.
        """
        environ = os.environ if environ is None else environ
        variables = {name: row.variable_in(environ) for name, row in SETTINGS.items()}
        return cls(
            **{
                name: SETTINGS[name].parse(variable, environ[variable])
                for name, variable in variables.items()
                if variable
            }
        )

    def to_env(self) -> dict[str, str]:
        """The environment that `from_env` reads back as these settings."""
        return {row.variable: text_of(getattr(self, name)) for name, row in SETTINGS.items()}

    def to_flow_env(self) -> dict[str, str]:
        """The environment from which `flow.yml` and the processes of the Flow take their values."""
        host, _, port = self.otlp.rpartition(":")
        return self.to_env() | {
            "CLIPSEEK_READY_TIMEOUT_MS": str(round(self.ready_timeout_seconds * 1000)),
            "CLIPSEEK_TRACING": str(bool(self.otlp)),
            "CLIPSEEK_OTLP_HOST": f"http://{host}",  # without the scheme OpenTelemetry would use TLS
            "CLIPSEEK_OTLP_PORT": port or "0",
        }

    @property
    def max_request_bytes(self) -> int:
        """`max_request_mb` as gRPC takes it: -1 is no limit."""
        return round(self.max_request_mb * 1e6) if self.max_request_mb * 1e6 <= _MOST_MESSAGE_BYTES else -1

    @property
    def word_sources(self) -> tuple[str, ...]:
        """The sources of words to read: `words` as the names of `WORD_SOURCES`."""
        return WORD_SOURCES if self.words == AUTO else tuple(name for name in WORD_SOURCES if name in self.words)

    @property
    def media_url(self) -> str:
        """The URL where videos are kept; empty if they are in a folder."""
        return self.media if parsing.is_url(self.media) else ""

    @property
    def local_host(self) -> str:
        """The address at which a client on this machine reaches the server that these settings start."""
        scheme = "grpcs" if self.tls_cert else "grpc"
        return f"{scheme}://{local_address(self.bind)}:{self.port}"

    @property
    def server_host(self) -> str:
        """The address that a client connects to: CLIPSEEK_HOST, else this machine's own server."""
        return self.host or self.local_host


def variable_of(name: str) -> str:
    """The environment variable of a field of Settings."""
    return SETTINGS[name].variable


def rename_warnings(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is set under the name it had in an earlier version."""
    return [warning for row in SETTINGS.values() if (warning := row.rename_warning(environ))]
