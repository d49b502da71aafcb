"""Videos that are used in place, in folders that the operator allows."""

from pathlib import Path

from clipseek.api.errors import FileMissing, MediaMissing, NoVideosFound, PathNotAllowed
from clipseek.api.formats import excerpt, is_subtitles_of
from clipseek.watch.folder_scan import videos_below
from executors.video_loader.media.file_record import FileRecord

_PATH = 200  # characters of a path in a message


class ServerFolders:
    """The allowed folders, with everything below them."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self._roots = tuple(folder.resolve() for folder in roots)

    def resolve(self, server_path: str) -> Path:
        """The path with its links resolved. Raises: PathNotAllowed: it is outside the allowed folders."""
        try:
            path = Path(server_path).resolve()
            is_allowed = self._holds(path)
            if is_allowed:  # of others nothing is told, not even whether they exist
                path.exists()  # raises for paths that no system can have
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
            shown, why = excerpt(server_path, _PATH), excerpt(str(error), _PATH)
            raise PathNotAllowed(f"{shown!r} is no path that the server can read ({why})") from error
        if not is_allowed:
            raise PathNotAllowed(
                f"The server may not read {excerpt(server_path, _PATH)}. Upload the file, or ask the operator to add "
                "its folder to CLIPSEEK_MEDIA_ROOTS"
            )
        return path

    def list_videos(self, server_path: str) -> list[Path]:
        """The videos in a folder, ordered by name; for a file, the file itself. Links that lead out are left out.

        Raises: PathNotAllowed, FileMissing, NoVideosFound.
        """
        path = self.resolve(server_path)
        if not path.exists():
            raise FileMissing(f"The server has no folder {excerpt(server_path, _PATH)}")
        try:
            videos = [video for video in videos_below(path) if self._holds(video.resolve())]
        except NoVideosFound:  # the same words whether a link out of the folder leads anywhere or not
            videos = []
        if not videos:
            raise NoVideosFound(f"There are no videos in or below the folder '{path}' that the server may read.")
        return videos

    def list_subtitles(self, video: Path) -> list[Path]:
        """The subtitles beside a video that are named after it, such as `talk.en.srt`, ordered by name.

        Links that lead out are left out. A folder that cannot be read has none.
        """
        try:
            return sorted(
                path
                for path in video.parent.iterdir()
                if is_subtitles_of(path.name, video.name) and self._holds(path.resolve()) and path.is_file()
            )
        except (OSError, RuntimeError):  # RuntimeError: a loop of links
            return []

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._roots)


def check_link(record: FileRecord) -> None:
    """Check that a registered video's file is unchanged. Raises: MediaMissing: it was moved, changed or deleted."""
    path = Path(record.linked_path)
    try:
        state = path.stat()
    except OSError as error:
        raise MediaMissing(
            f"'{record.title}' is no longer at {path} ({error.strerror}). Put it back, or index it where it is now"
        ) from error
    is_same = (state.st_size, state.st_mtime_ns) == (record.size_bytes, record.mtime_ns)
    if not is_same or path.resolve() != path:  # a folder became a link, perhaps to a forbidden place
        raise MediaMissing(f"'{record.title}' at {path} was changed since it was indexed. Delete it and index it again")
