"""The second executor of the chain: it reads the words of what the loader gathered."""

from collections.abc import Mapping

from clipseek.api.base_document import shared_fields
from clipseek.schema import Component, Cue, DocList, WordSpan
from executors.flow.callers import Caller
from executors.flow.endpoint import endpoint
from executors.flow.executor import WORKER, ChainExecutor
from executors.word_reader.installed import choose_sources, describe_missing
from executors.word_reader.material import ReaderOptions, SpanMaterial
from executors.word_reader.reader_process import ReaderProcess
from executors.word_reader.timed_line import TimedLine


class WordReader(ChainExecutor):
    """Answers `/words` with the cues of a span, and what each of them means."""

    def load(self) -> None:
        wanted = self.settings.word_sources
        options = ReaderOptions(
            choose_sources(wanted), self.settings.speech_model, self.settings.cache, self.settings.device
        )
        self._reader = ReaderProcess(self.settings, options)

    def queue_sizes(self) -> Mapping[str, int]:
        return {WORKER: 1}

    @endpoint("/words", queue=WORKER, step="read_words")
    def words(self, doc: WordSpan, _caller: Caller) -> str:
        """Turn the span's lines, sound and stills into cues, and drop them."""
        material = SpanMaterial(
            lines=[TimedLine(**shared_fields(line, TimedLine)) for line in doc.lines],
            **{name: value for name, value in shared_fields(doc, SpanMaterial).items() if name != "lines"},
        )
        reading = self._reader.read(material, doc.video_id)
        doc.cues = DocList[Cue](Cue(**shared_fields(line, Cue)) for line in reading.lines)
        doc.embeddings, doc.vector_counts, doc.model_id = reading.embeddings, reading.vector_counts, reading.model_id
        doc.languages = reading.languages
        doc.notes += reading.notes
        doc.lines, doc.sound = DocList[Cue](), b""
        doc.stills, doc.still_start_seconds, doc.still_end_seconds = [], [], []
        return f"{doc.video_id[:12]} [{doc.start_seconds:.2f}, {doc.end_seconds:.2f}) s, {len(doc.cues)} cues"

    def component(self, _caller: Caller, /) -> Component:
        sources = self._reader.options.sources
        facts = {"words": ", ".join(sources) or "off", "speech_model": self.settings.speech_model}
        return Component(name=self.executor_name, facts=facts, warnings=describe_missing(self.settings.word_sources))

    def close(self) -> None:
        self._reader.close()
        super().close()
