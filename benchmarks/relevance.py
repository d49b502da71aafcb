"""How well the cut-off separates matches from "nothing matches": `python -m benchmarks.relevance`.

It puts the labelled videos into one library. It searches for every true query of the labels, leaving out
copies of the query's video; the query succeeds if the best match's peak lies in a true moment. It searches the whole
library for the absurd queries of the labels and for the encoder's neutral phrases. It prints how many
successful queries stay above the cut-off, how many absurd ones get an answer, and what a search with default options
shows of the true ones, weaker candidates included. `--fit` also fits the coefficients of
a model that has reference vectors, on the tune halves of all labels in both languages and on the neutral phrases, and
prints the same with them. `--with-words` puts the lines of a talk about other things beside the pictures: the measures
of searches in both should be those without it.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.__main__ import DEFAULT_VIDEOS
from benchmarks.quality.cases import LANGUAGES, REPORT, TUNE, Label, read_queries
from benchmarks.quality.video_curves import Video, VideoVectors
from benchmarks.quality.video_facts import MONTAGE
from benchmarks.talk import SPOKEN, SUBTITLED, WRITTEN
from clipseek.api.limits import SPEECH
from clipseek.api.score_scale import MATCHES_BEGIN
from clipseek.cli.answers import WEAKER
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import Coefficients, ReferenceScales, ScoreScales, read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.words.cue_store import Reading, StoredCue
from executors.faiss_indexer.words.word_search import Sentence
from executors.machine.sentence_encoder import shared_encoder
from executors.word_reader.material import MODEL_ID
from executors.word_reader.parts import divide_line

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
# The three videos of one cartoon show the same rabbit.
CARTOON = frozenset({"bigbuckbunny.mp4", "fw_2s.mp4", "moviepy_bbb_0_30.webm"})
ABSURD_SHARE = 1 / 12  # of the tune halves' absurd queries that the cut-off of `--fit` answers
_NEUTRAL_WEIGHT = 0.5  # of a neutral phrase in the fit; some of them fit something
_RIDGE = 0.3  # of the logistic regression, on standardised features
_NEWTON_STEPS = 50
_TALK = "talk.mkv"


@dataclass(frozen=True)
class BestMatch:
    """The best match of a query, whatever its score: its relevance, its cosine, and whether it is right."""

    text: str
    relevance: float
    cosine: float
    is_right: bool
    is_in_right_video: bool
    is_in_tune_half: bool
    shown_right: tuple[bool, ...] = ()  # what a search shows by default: whether each is in the right video
    line: str = ""  # whose words or meaning it is found by


@dataclass(frozen=True)
class Bench:
    """A library of videos, and the model to search it with."""

    library: Library
    titles: Sequence[str]
    copies: dict[str, frozenset[str]]
    texts: TextTower
    scales: ScoreScales
    model: str
    mean_phrase: Vectors
    has_words: bool = False

    def search(self, text: str, label: Label | None = None) -> BestMatch:
        """Search for a text; with a label, leave out copies of its video."""
        parts = self.encode_parts([text])
        copies = self.copies.get(str(label.video), frozenset()) if label else frozenset()
        titles = [title for title in self.titles if title not in copies]
        options = SearchOptions(top_k=1, all_matches=True, video_ids=tuple(map(_make_video_id, titles)))
        sentences = [Sentence(text, shared_encoder().read([text])[0][0])] if self.has_words else []
        [best] = self.library.search(parts, options, sentences).matches
        page = self.library.search(parts, replace(options, top_k=10, all_matches=False, weaker=WEAKER), sentences)
        shown = [*page.matches, *page.weaker_matches]
        zero, one = self.library.relevance.find_scale(parts[0])
        relevance = best.segment.score
        cosine = zero + relevance * (one - zero)
        is_right = label is not None and _is_right(best, label)
        is_in_right_video = label is not None and best.video.title == label.video
        is_in_tune_half = label is None or label.split == TUNE
        ranks = tuple(label is not None and match.video.title == label.video for match in shown)
        line = best.line.line if best.line else ""
        return BestMatch(text, best.segment.score, cosine, is_right, is_in_right_video, is_in_tune_half, ranks, line)

    def encode_parts(self, texts: Sequence[str]) -> list[Part]:
        vectors = self.texts.encode(texts).vectors
        return [Part(v, 1.0, self.model, None, self.scales.of(v), self.mean_phrase) for v in vectors]


def _is_right(match: VideoMatch, label: Label) -> bool:
    peak = match.segment.peak_seconds
    return match.video.title == label.video and any(start <= peak < end for start, end in label.moments)


def _make_video_id(title: str) -> str:
    return title.encode().hex().ljust(64, "0")[:64]


def build_bench(folder: Path, cache: Path, store: Path, model: str, rate: float) -> Bench:
    """Encode the videos of a folder, except those known from an earlier run, and store them."""
    spec = Registry(cache).resolve(model)
    device = choose_device("auto")
    name = model_id(spec, cache)
    tower = ImageTower(spec, device)
    vectors = VideoVectors(cache / "videos", name, tower, spec.preprocessing.picture_format)
    library = Library(store)
    titles = sorted(path.name for path in folder.iterdir() if path.suffix in {".mp4", ".webm"})
    for title in titles:
        _store_video(library, title, vectors.video(folder / title), rate, name)
    texts = TextTower(spec, device)
    phrase = texts.encode(NEUTRAL_PHRASES).vectors.mean(axis=0)
    return Bench(library, titles, find_copies(folder, titles), texts, read_scales(spec), name, phrase)


def _store_video(library: Library, title: str, video: Video, rate: float, model: str) -> None:
    record = VideoRecord(
        video_id=_make_video_id(title),
        title=title,
        size_bytes=1,
        duration_seconds=video.duration_seconds,
        width=1,
        height=1,
        fps=25.0,
        codec="h264",
        container="mp4",
        rotation_degrees=0,
        has_audio=False,
        frames_per_second=rate,
    )
    library.register(record, model)
    sampled = np.unique(np.floor(video.pts_seconds * rate + 1e-9), return_index=True)[1]
    frames = Frames(video.pts_seconds[sampled], video.vectors[sampled].astype(np.float16), np.array(video.cuts))
    library.put_span(record.video_id, (0.0, video.duration_seconds), frames, model)


def add_talk(bench: Bench) -> Bench:
    """Returns: a bench with a further video in its library, of which only the words are known."""
    lines = [*SPOKEN, *WRITTEN, *SUBTITLED]
    video = VideoRecord(_make_video_id(_TALK), _TALK, 1, 5.0 * len(lines), 1, 1, 25.0, "h264", "mp4", 0, True, 1.0)
    bench.library.register(video, bench.model)
    parts = [divide_line(line) for line in lines]
    vectors = [shared_encoder().read(of_line)[0].astype(np.float16) for of_line in parts]
    cues = [
        StoredCue(0, video.video_id, 5.0 * number, 5.0 * number + 4.0, line, SPEECH)
        for number, line in enumerate(lines)
    ]
    span = (0.0, video.duration_seconds)
    bench.library.words.store.put_words(video.video_id, span, cues, vectors, MODEL_ID, Reading())
    bench.library.follow()
    return replace(bench, titles=[*bench.titles, _TALK], has_words=True)


def find_copies(folder: Path, titles: Sequence[str]) -> dict[str, frozenset[str]]:
    """Returns: for each video, by its title, the others that show the same."""
    montage = folder / "montage.json"
    sources = {part["source"] for part in json.loads(montage.read_text())} if montage.exists() else set()
    copies = {title: CARTOON - {title} for title in CARTOON}
    for title in sources:
        copies[title] = copies.get(title, frozenset()) | {MONTAGE}
    copies[MONTAGE] = frozenset(sources) | CARTOON
    return {title: copies.get(title, frozenset()) for title in titles}


@dataclass(frozen=True)
class BestMatches:
    """The best matches of the three kinds of queries."""

    true: list[BestMatch]
    absurd: list[BestMatch]
    neutral: list[BestMatch]

    @property
    def right(self) -> list[BestMatch]:
        return [match for match in self.true if match.is_right]


def search_all(bench: Bench, true: Sequence[Label], absurd: Sequence[Label]) -> BestMatches:
    found = [bench.search(label.query, label) for label in true]
    nothing = [replace(bench.search(label.query), is_in_tune_half=label.split == TUNE) for label in absurd]
    return BestMatches(found, nothing, [bench.search(phrase) for phrase in NEUTRAL_PHRASES])


def show(matches: BestMatches, verbose: bool) -> None:
    for half in (TUNE, REPORT):
        true, absurd = (
            [match for match in some if match.is_in_tune_half == (half == TUNE)]
            for some in (matches.true, matches.absurd)
        )
        in_video = [match for match in true if match.is_in_right_video]
        right = [match for match in true if match.is_right]
        print(f"{half} half")
        _show_share("  best match in the right video", in_video, true)
        _show_share("    of these answered", _select_answered(in_video), in_video)
        _show_share("  best match in a true moment", right, true)
        _show_share("    of these answered", _select_answered(right), right)
        _show_share("  true queries answered", _select_answered(true), true)
        _show_share("  right video shown first, weak or not", [m for m in true if any(m.shown_right[:1])], true)
        _show_share("  right video shown in five", [m for m in true if any(m.shown_right[:5])], true)
        _show_share("  nothing shown at all", [m for m in true if not m.shown_right], true)
        _show_share("  absurd queries answered", _select_answered(absurd), absurd)
    _show_share("neutral phrases answered", _select_answered(matches.neutral), matches.neutral)
    if verbose:
        _show_wrong("lost", [match for match in matches.right if match not in _select_answered(matches.right)])
        _show_wrong("absurd", _select_answered(matches.absurd))
        _show_wrong("neutral", _select_answered(matches.neutral))


def _show_share(name: str, some: Sequence[BestMatch], all_: Sequence[BestMatch]) -> None:
    print(f"{name:39}{len(some):>4} of {len(all_):>3}  {100 * len(some) / max(len(all_), 1):5.1f} %")


def _select_answered(matches: Sequence[BestMatch]) -> list[BestMatch]:
    return [match for match in matches if match.relevance >= MATCHES_BEGIN]


def _show_wrong(kind: str, matches: Sequence[BestMatch]) -> None:
    for match in sorted(matches, key=lambda match: match.relevance):
        print(f"  {kind:8}{match.relevance:6.2f}  {match.text}{match.line and f' ({match.line})'}")


def search_all_labels(bench: Bench) -> BestMatches:
    """Search for the first and the everyday queries in all languages."""
    found = [search_all(bench, *read_queries(everyday, code)) for everyday in (False, True) for code in LANGUAGES]
    return BestMatches(
        [m for one in found for m in one.true], [m for one in found for m in one.absurd], found[0].neutral
    )


def fit(bench: Bench) -> Coefficients:
    """Fit coefficients that separate the tune halves' matches in right videos from absurd queries and neutral phrases.

    It is a logistic regression on the cosine and the measures of the text. The cut-off answers ABSURD_SHARE of the
    absurd ones.
    """
    if not isinstance(bench.scales, ReferenceScales):
        sys.exit("This model has no reference vectors to fit: its scale is its logit scale. Use --model starter.")
    matches = search_all_labels(bench)
    right = [match for match in matches.true if match.is_in_tune_half and match.is_in_right_video]
    absurd = [match for match in matches.absurd if match.is_in_tune_half]
    examples = [*right, *absurd, *matches.neutral]
    weights = np.array([1.0] * (len(right) + len(absurd)) + [_NEUTRAL_WEIGHT] * len(matches.neutral))
    weights[: len(right)] = weights[len(right) :].sum() / len(right)  # both sides count alike
    measures = bench.scales.measure(bench.texts.encode([match.text for match in examples]).vectors)
    features = np.column_stack([[match.cosine for match in examples], measures])
    slopes = _fit_logistic(features, np.arange(len(examples)) < len(right), weights)
    margins = (features @ slopes) / slopes[0]
    base = float(np.quantile(margins[len(right) :][: len(absurd)], 1 - ABSURD_SHARE))
    contrast = float(np.median(margins[: len(right)]) - base) / (1 - MATCHES_BEGIN)  # a typical right frame: 1
    nearest, spread, common = (float(-slope / slopes[0]) for slope in slopes[1:])
    return Coefficients(base, nearest, spread, common, contrast, bench.scales.coefficients.most)


def _fit_logistic(features: Floats, is_positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Returns: slopes of a ridge logistic regression in the features' own units, by Newton's method."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    penalty = np.diag([_RIDGE] * features.shape[1] + [0.0])
    slopes: Floats = np.zeros(scaled.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-scaled @ slopes))
        gradient = scaled.T @ (weights * (chance - is_positive)) + penalty @ slopes
        curvature = (scaled.T * (weights * chance * (1 - chance))) @ scaled + penalty
        slopes = slopes - np.linalg.solve(curvature, gradient)
    in_units: Floats = slopes[:-1] / deviation
    return in_units


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if not options.videos.is_dir():
        print(f"The labelled videos are not in {options.videos}. Name their folder with --videos.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as store:
        bench = build_bench(options.videos, options.cache, Path(store), options.model, options.rate)
        if options.with_words:
            bench = add_talk(bench)
        queries = read_queries(options.everyday, options.language)
        matches = search_all(bench, *queries)
        show(matches, options.verbose)
        if options.fit:
            coefficients = fit(bench)
            print(f"\nfitted: {coefficients}\nwith it:")
            assert isinstance(bench.scales, ReferenceScales)
            refitted = replace(bench, scales=replace(bench.scales, coefficients=coefficients))
            show(search_all(refitted, *queries), options.verbose)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relevance", description=__doc__)
    videos = Path(os.environ.get("CLIPSEEK_TEST_VIDEOS") or DEFAULT_VIDEOS)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--videos", type=Path, default=videos, help="folder of the labelled videos")
    parser.add_argument(
        "--everyday", action="store_true", help="the queries in everyday words instead of the first ones"
    )
    parser.add_argument("--language", default="en", choices=list(LANGUAGES), help="of the labelled queries")
    parser.add_argument("--cache", type=Path, default=cache, help="folder that keeps models and vectors between runs")
    parser.add_argument("--model", default="starter", help="as CLIPSEEK_MODEL; all but the starter need the hub")
    parser.add_argument("--rate", type=float, default=1.0, help="frames per second: 1, 2 or 4")
    parser.add_argument("--with-words", action="store_true", help="search in the words of a talk, too")
    parser.add_argument("--fit", action="store_true", help="fit the coefficients of the model's scale and try them")
    parser.add_argument("--verbose", action="store_true", help="list the queries on the wrong side of the cut-off")
    return parser


if __name__ == "__main__":
    sys.exit(main())
