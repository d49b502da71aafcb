"""Settings of clients, processes, security and monitoring. The others are in `settings` and `limits`."""

from dataclasses import dataclass

from clipseek.config import parsing
from clipseek.config.addresses import DEFAULT_BIND
from clipseek.config.declaration import setting


@dataclass(frozen=True)
class Clients:
    """How clients find and use a server."""

    host: str = setting(
        "CLIPSEEK_HOST",
        "",
        "the server's address, grpc://HOST:PORT",
        default_words="this machine",
        details="`grpcs://` is for TLS.",
    )
    token: str = setting("CLIPSEEK_TOKEN", "", "the token from `clipseek token add`", is_secret=True)
    library: str = setting("CLIPSEEK_LIBRARY", "", "the library to use", default_words="the token's first")
    tls_ca: str = setting("CLIPSEEK_TLS_CA", "", "PEM file of the authority to trust", default_words="the public ones")


@dataclass(frozen=True)
class Processes:
    """Several processes and machines."""

    loader_replicas: int = setting(
        "CLIPSEEK_LOADER_REPLICAS", 1, "processes that keep and decode videos", parse=parsing.count(1)
    )
    encoder_replicas: int = setting(
        "CLIPSEEK_ENCODER_REPLICAS", 1, "processes that run the model on pictures", parse=parsing.count(1)
    )
    indexer_replicas: int = setting(
        "CLIPSEEK_INDEXER_REPLICAS",
        1,
        "processes that search and store frames",
        parse=parsing.count(1),
        details="More than one needs a store in PostgreSQL; see `docs/scale.md`.",
    )
    store: str = setting(
        "CLIPSEEK_STORE",
        "",
        "PostgreSQL database of videos and frames, postgresql://USER@HOST:PORT/NAME",
        parse=parsing.database_url,
        default_words="SQLite in CLIPSEEK_HOME",
        details="See `docs/scale.md`.",
        is_secret=True,  # a URL may hold a password
    )
    store_password: str = setting(
        "CLIPSEEK_STORE_PASSWORD",
        "",
        "password for CLIPSEEK_STORE",
        details="Without it PostgreSQL's own ways work: `PGPASSWORD`, `PGPASSFILE`, `~/.pgpass`.",
        is_secret=True,
    )
    store_password_file: str = setting(
        "CLIPSEEK_STORE_PASSWORD_FILE", "", "file with that password, such as a secret of a container"
    )
    media: str = setting(
        "CLIPSEEK_MEDIA",
        "",
        "folder or URL where all loaders keep the videos",
        parse=parsing.folder_or_url,
        default_words="the store",
        details="For example `s3://BUCKET/PREFIX`; see `docs/scale.md`.",
        is_secret=True,  # a URL may hold a password
    )
    media_cache_gb: float = setting(
        "CLIPSEEK_MEDIA_CACHE_GB",
        50.0,
        "size of local copies of videos that are kept at a URL",
        parse=parsing.positive,
        details="The copies are in `CLIPSEEK_CACHE`.",
    )
    ready_timeout_seconds: float = setting(
        "CLIPSEEK_READY_TIMEOUT",
        600.0,
        "seconds an executor may take to start",
        parse=parsing.positive,
        details="This includes a download of weights, where `CLIPSEEK_MODEL_DOWNLOAD` allows it.",
    )
    most_restarts: int = setting(
        "CLIPSEEK_MOST_RESTARTS",
        5,
        "crashes allowed per process in 10 minutes",
        parse=parsing.count(0),
        details="More of them stop the service.",
    )
    flow_secret: str = setting(
        "CLIPSEEK_FLOW_SECRET",
        "",
        "secret that gateway and executors share",
        default_words="made at each start",
        details="Set it if they run on several machines.",
        is_secret=True,
    )


@dataclass(frozen=True)
class Security:
    """Who may use the server, and how much."""

    tls_cert: str = setting("CLIPSEEK_TLS_CERT", "", "PEM file with the server's certificate chain; turns TLS on")
    tls_key: str = setting("CLIPSEEK_TLS_KEY", "", "PEM file with the key of that certificate")
    allow_anyone: bool = setting(
        "CLIPSEEK_ALLOW_ANYONE", False, "serve the network without any token: yes or no", parse=parsing.yes_or_no
    )
    page_hosts: tuple[str, ...] = setting(
        "CLIPSEEK_PAGE_HOSTS",
        (),
        "names under which browsers may reach the page, besides this machine's own",
        parse=parsing.host_names,
        details="Separate them with commas. A proxy in front of the page needs its name here.",
    )
    requests_per_second: float = setting(
        "CLIPSEEK_REQUESTS_PER_SECOND",
        200.0,
        "requests per second of one caller, on average",
        details="A request counts once for each document in it, and for each 4 MiB.",
        parse=parsing.positive,
    )
    requests_under_way: int = setting(
        "CLIPSEEK_REQUESTS_UNDER_WAY", 128, "requests of one caller at the same time", parse=parsing.count(1)
    )
    open_uploads: int = setting("CLIPSEEK_OPEN_UPLOADS", 32, "unfinished uploads of one caller", parse=parsing.count(1))
    upload_idle_seconds: float = setting(
        "CLIPSEEK_UPLOAD_IDLE_SECONDS",
        3600.0,
        "seconds without a byte after which an unfinished upload counts as abandoned",
        parse=parsing.positive,
        details="Then it is no longer open, and makes room for others. It can go on until it is deleted, after a day.",
    )


@dataclass(frozen=True)
class Monitoring:
    """Logs, metrics and traces."""

    log_level: str = setting(
        "CLIPSEEK_LOG_LEVEL",
        "WARNING",
        "lowest level to log: DEBUG, INFO, WARNING or ERROR",
        parse=parsing.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        details="`INFO` logs one line per request, on stderr.",
    )
    log_format: str = setting(
        "CLIPSEEK_LOG_FORMAT",
        "text",
        "format of the log: text, or json with one object per line",
        parse=parsing.choice("text", "json"),
        details="See `docs/monitoring.md`.",
    )
    audit_days: float = setting(
        "CLIPSEEK_AUDIT_DAYS",
        90.0,
        "days that lines of the audit log are kept (inf: forever)",
        parse=parsing.limit,
        details="See `docs/security.md`.",
    )
    metrics_port: int | None = setting(
        "CLIPSEEK_METRICS_PORT",
        None,
        "port of /metrics for Prometheus",
        parse=parsing.port,
        details="See `docs/monitoring.md`.",
    )
    metrics_bind: str = setting(
        "CLIPSEEK_METRICS_BIND",
        DEFAULT_BIND,
        "address of /metrics",
        details="Anyone who reaches it can read the metrics.",
    )
    otlp: str = setting(
        "CLIPSEEK_OTLP",
        "",
        "HOST:PORT of an OpenTelemetry collector for traces (OTLP over gRPC)",
        parse=parsing.address,
    )
