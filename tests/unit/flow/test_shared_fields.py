"""The fields of a video have one name each, wherever they are kept: documents are filled in by these names."""

from dataclasses import dataclass, fields

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.schema import Clip, Match, Query, Thumbnail, Video, VideoSpan
from executors.faiss_indexer.moments.curves import Segment
from executors.faiss_indexer.ranking.merging import SearchAnswer
from executors.faiss_indexer.ranking.queries import SearchOptions
from executors.faiss_indexer.store.store import VideoRecord
from executors.video_loader.clips.cache import CachedClip
from executors.video_loader.clips.thumbnails import JpegPicture
from executors.video_loader.decode.probe import VideoInfo
from executors.video_loader.workers.video_workers import SampledSpan


@dataclass(frozen=True)
class Record:
    title: str
    height: int
    unknown: str = "x"


def test_only_fields_that_both_have_are_copied():
    video = Video(title="a", height=1, width=2)
    copy_fields(Record("b", 3), video)
    assert (video.title, video.height, video.width) == ("b", 3, 2)
    assert shared_fields(video, Record) == {"title": "b", "height": 3}


def test_every_field_that_a_document_is_to_get_has_its_name_there():
    def lost(kind: type, document: type) -> set[str]:
        return {field.name for field in fields(kind)} - {field.name for field in fields(document)}

    assert lost(VideoRecord, Video) == set()
    assert lost(VideoInfo, Video) == {"first_pts", "time_base", "coded_pixels"}
    assert lost(SampledSpan, VideoSpan) == set()
    assert lost(CachedClip, Clip) == set()
    assert lost(JpegPicture, Thumbnail) == set()
    assert lost(Segment, Match) == set()
    assert lost(SearchOptions, Query) == set()
    assert lost(SearchAnswer, Query) == set()
