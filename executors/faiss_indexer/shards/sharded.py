"""Several shards of an index as one: requests go to the shards, and their answers are merged.

Each video lives on one shard, so a request about one video goes there alone. A query goes to all shards in steps. The
answer is the same as without shards: relevance is judged by the mean frame of all shards, and each shard returns all
matches that may have a place.
"""

import asyncio
import os.path
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from clipseek.api.base_document import BaseDoc, DocList
from clipseek.api.documents import Calibration, Component, Health, Match, Query, QueryPart, Video, VideoSpan
from clipseek.api.errors import InvalidTimeRange, ModelMismatch
from clipseek.api.score_scale import CUT_OFF
from clipseek.config.limits import check_limit
from clipseek.config.settings import Settings
from clipseek.config.shards import shard_of
from executors.faiss_indexer.documents import (
    ShardQuery,
    check_calibration,
    fill_in,
    search_options,
    video_of_timeline,
)
from executors.faiss_indexer.index.frame_sample import measure_noise
from executors.faiss_indexer.ranking.merging import Ranking, SearchAnswer
from executors.faiss_indexer.ranking.relevance import fit_shift
from executors.flow.callers import Caller
from executors.flow.document_checks import check_document
from executors.flow.endpoint import list_of

D = TypeVar("D", bound=BaseDoc)


class Ask(Protocol):
    """Sends documents to an endpoint of a shard. Raises the shard's error."""

    def __call__(self, shard: int, endpoint: str, docs: DocList[D], caller: Caller) -> Awaitable[DocList[D]]: ...


@dataclass(frozen=True)
class _Ranked:
    """A match with its order among all others."""

    order: tuple[float, str, float]
    match: Match

    @property
    def score(self) -> float:
        return self.match.score

    @property
    def video_id(self) -> str:
        return self.match.video_id


class ShardedIndex:
    """Answers like the indexer, document by document. The number of shards is in the settings."""

    def __init__(self, settings: Settings, ask: Ask) -> None:
        self._settings, self._ask = settings, ask

    @property
    def _shards(self) -> range:
        return range(self._settings.shards)

    async def _ask_one(self, shard: int, endpoint: str, doc: D, caller: Caller) -> D:
        [answer] = await self._ask(shard, endpoint, list_of(type(doc))([doc]), caller)
        return answer

    async def _ask_all(self, endpoint: str, doc: D, caller: Caller) -> list[D]:
        """The answers of all shards, in order. The first error is raised once all have answered."""
        answers = await asyncio.gather(
            *(self._ask_one(shard, endpoint, doc, caller) for shard in self._shards), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _owner(self, video_id: str) -> int:
        return shard_of(video_id, self._settings.shards)

    # Videos

    async def index(self, doc: VideoSpan, caller: Caller) -> VideoSpan:
        return await self._ask_one(self._owner(doc.video_id), "/index", doc, caller)

    async def delete(self, doc: Video, caller: Caller) -> Video:
        return await self._ask_one(self._owner(doc.video_id), "/delete", doc, caller)

    async def probe(self, doc: Video, caller: Caller) -> Video:
        claimed = await self._ask_all("/shard/claim", Video(model_id=doc.model_id), caller)
        doc.added_at = max(video.added_at for video in claimed)
        return await self._ask_one(self._owner(doc.video_id), "/probe", doc, caller)

    async def videos(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        if docs and docs[0].video_id:
            return await self._ask(self._owner(docs[0].video_id), "/videos", docs, caller)
        lists = await asyncio.gather(
            *(self._ask(shard, "/videos", DocList[Video]([Video()]), caller) for shard in self._shards)
        )
        videos = [video for videos_of_shard in lists for video in videos_of_shard]
        return DocList[Video](sorted(videos, key=lambda video: (video.added_at, video.video_id)))

    # Queries

    async def search(self, query: Query, caller: Caller) -> Query:
        check_document(query, self._settings)
        check_limit(self._settings, "max_top_k", query.top_k, f"top_k, {query.top_k},")
        ask = await self._prepared(_shard_query(query), caller)
        answer = await self._found(ask, caller)
        fill_in(query, answer, lambda found: [ranked.match for ranked in found])
        return query

    async def timeline(self, query: Query, caller: Caller) -> Query:
        check_document(query, self._settings)
        video_id = video_of_timeline(search_options(query))
        ask = await self._prepared(_shard_query(query), caller)
        answer = await self._ask_one(self._owner(video_id), "/shard/timeline", ask, caller)
        return Query(**{name: getattr(answer, name) for name in Query.model_fields})

    async def calibrate(self, doc: Calibration, caller: Caller) -> Calibration:
        check_document(doc, self._settings)
        check_calibration(doc)
        phrases, neutral = doc.phrases, doc.neutral_embedding
        doc.phrases, doc.neutral_embedding = DocList[QueryPart](), []
        keep = ShardQuery()
        if not doc.reset:
            found = [await self._best_relevance(phrase, neutral, caller) for phrase in phrases]
            result = fit_shift(np.array([best for best, _ in found]), found[0][1], doc.answered_share)
            for name, value in vars(result).items():
                setattr(doc, name, value)
            keep.shift, keep.model_id = result.shift, phrases[0].model_id
        await self._ask_one(0, "/shard/shift", keep, caller)
        doc.done = True
        return doc

    async def _best_relevance(self, phrase: QueryPart, neutral: list[float], caller: Caller) -> tuple[float, float]:
        """The relevance of a phrase's best match (-inf in an empty library), and the present shift."""
        ask = ShardQuery(parts=[phrase], neutral_embedding=neutral, top_k=1, all_matches=True)
        ask = await self._prepared(ask, caller)
        found = (await self._found(ask, caller)).matches
        return (-found[0].order[0] if found else -np.inf), ask.shift

    async def _prepared(self, ask: ShardQuery, caller: Caller) -> ShardQuery:
        """Add to a query the embeddings of its moments, and what turns cosines into relevance."""
        ask.moment_start_seconds = [0.0] * len(ask.parts)
        ask.moment_end_seconds = [0.0] * len(ask.parts)
        owners = {place: self._owner(part.video_id) for place, part in enumerate(ask.parts) if part.video_id}
        for shard in sorted(set(owners.values())):
            found = await self._ask_one(shard, "/shard/moments", ask, caller)
            for place in (place for place, owner in owners.items() if owner == shard):
                ask.parts[place].embedding = found.parts[place].embedding
                ask.moment_start_seconds[place] = found.moment_start_seconds[place]
                ask.moment_end_seconds[place] = found.moment_end_seconds[place]
        answers = await self._ask_all("/shard/frames", ask, caller)
        sums = [np.frombuffer(answer.frame_sum, np.float64) for answer in answers if answer.frame_count]
        if len({len(frame_sum) for frame_sum in sums}) > 1:
            raise ModelMismatch("The shards of the library hold frames of different models. Index its videos again.")
        frames = sum(answer.frame_count for answer in answers)
        mean_frame = (np.sum(sums, axis=0) / frames).astype(np.float32) if sums else np.zeros(0, np.float32)
        ask.mean_frame, ask.shift = mean_frame.tobytes(), answers[0].fitted_shift
        ask.noises = _measure_noises(answers)
        return ask

    async def _found(self, ask: ShardQuery, caller: Caller) -> SearchAnswer[_Ranked]:
        options = search_options(ask)
        answers = await self._ask_all("/shard/search", ask, caller)
        videos = sum(answer.videos_searched for answer in answers)
        frames = sum(answer.frames_searched for answer in answers)
        outside = [answer.outside for answer in answers if answer.outside]
        if outside and not videos:
            raise InvalidTimeRange(outside[0])
        ranking: Ranking[_Ranked] = Ranking(options, options.cut_off(CUT_OFF))
        of_video: defaultdict[str, list[_Ranked]] = defaultdict(list)
        for answer in answers:
            for match, value in zip(answer.matches, answer.values, strict=True):
                of_video[match.video_id].append(_Ranked((-value, match.video_id, match.start_seconds), match))
        for matches in of_video.values():
            ranking.add(matches)
        return ranking.answer(videos, frames)

    # State

    async def health(self, doc: Health, caller: Caller) -> Health:
        answers = await self._ask_all("/health", Health(check_recall=doc.check_recall), caller)
        components = [answer.components[0] for answer in answers]
        facts = _merge_facts([component.facts for component in components])
        doc.components.append(Component(name=components[0].name, facts=facts))
        for answer in answers:
            doc.down |= answer.down
        return doc


def _measure_noises(answers: Sequence[ShardQuery]) -> list[float]:
    """The noise of each text that has one, from what the shards' samples have of it."""
    frames = sum(answer.frame_count for answer in answers)
    cosines = [
        np.frombuffer(answer.cosines, np.float32).reshape(answer.texts, -1) for answer in answers if answer.texts
    ]
    return [measure_noise(row, frames) for row in np.concatenate(cosines, axis=1)] if cosines else []


def _merge_facts(facts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The facts of all shards as those of one library: counts are added, the fitted shift is the first shard's, and
    recall is the mean over all queries that it was measured with.
    """

    def join_all(name: str) -> str:
        return ", ".join(sorted({shard[name] for shard in facts if shard.get(name)}))

    merged = {
        "store": os.path.commonpath([shard["store"] for shard in facts]),
        "shards": str(len(facts)),
        "videos": str(sum(int(shard["videos"]) for shard in facts)),
        "frames": str(sum(int(shard["frames"]) for shard in facts)),
        "index": join_all("index"),
        "model_id": join_all("model_id"),
        "fitted_shift": facts[0]["fitted_shift"],
        "version": join_all("version"),
        "wire": join_all("wire"),
    }
    if "recall" in facts[0]:
        queries = [int(shard["recall_queries"]) for shard in facts]
        for name in ("recall_before", "recall"):
            shares = [float(shard[name]) * count for shard, count in zip(facts, queries, strict=True)]
            merged[name] = f"{sum(shares) / max(1, sum(queries)):.4f}"
        merged["recall_queries"] = str(sum(queries))
    return merged


def _shard_query(query: Query) -> ShardQuery:
    return ShardQuery(**{name: getattr(query, name) for name in Query.model_fields})
