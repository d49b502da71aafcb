"""The third executor of the chain: it turns the texts of a query into embeddings."""

import functools
from collections.abc import Mapping
from typing import TypeVar

from clipseek.api.errors import ModelMismatch
from clipseek.config.settings import Settings
from clipseek.schema import Calibration, Component, DocList, Model, Query, QueryPart, TextMeaning
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import Vector, read_scales
from executors.clip_encoder.relevance.spelling import read_spelling
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.languages import language_warning
from executors.clip_encoder.run.loaded_models import LOADING, LOADING_THREADS, LoadedModels, find_model
from executors.clip_encoder.run.towers import EncodedTexts, TextTower
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.endpoint import Steps, endpoint
from executors.flow.executor import WORKER, ChainExecutor
from executors.machine.sentence_encoder import shared_encoder

T = TypeVar("T", bound=TextMeaning)

# Users repeat queries (more answers, other videos); an embedding of 768 numbers takes 3 KB.
CACHED_TEXTS = 1024
_SHOWN_CHARACTERS = 40  # of a text in a warning about it


class _TextModel:
    """The text half of a model, and what is known of the texts that it reads."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.encoder = Encoder(settings, "text", TextTower, name=name)
        self.encode = functools.lru_cache(CACHED_TEXTS)(self._encode_one)
        self._scales = read_scales(self.encoder.spec)
        self._spelling = read_spelling(self.encoder.spec.checkpoint.parent)
        self.phrases = self.encoder.tower.encode(NEUTRAL_PHRASES).vectors
        self.mean_phrase = self.phrases.mean(axis=0).tolist()

    def _encode_one(self, text: str) -> EncodedTexts:
        metrics.CACHE_MISSES.labels("texts").inc()
        with metrics.step("text"):  # not of the endpoint, because a text in the cache takes no time
            return self.encoder.tower.encode([text])

    def warn_about_words(self, text: str, vector: Vector) -> list[str]:
        """Returns: sentences that name the text, or a word of it, that the model does not know."""
        warnings = []
        if not self._scales.knows(vector):
            warnings.append(f"The starter model does not know '{_shorten(text)}'.")
        if self._spelling and (mistake := self._spelling.find_mistake(text)):
            warnings.append(f"The starter model does not know the word '{mistake[0]}'. Did you mean '{mistake[1]}'?")
        return warnings

    def fill_in(self, part: T, vector: Vector) -> T:
        """Put the meaning of a text, and the scale of its cosines, into the document that holds it."""
        scale = self._scales.of(vector)
        part.embedding, part.model_id = vector.tolist(), self.encoder.model_id
        part.zero_cosine, part.one_cosine = scale.zero, scale.one
        part.above_background = scale.above_background
        return part


class ClipTextEncoder(ChainExecutor):
    """Answers `/search` and `/timeline` with the embeddings of the query's texts, by the model of the library."""

    def load(self) -> None:
        self.models = LoadedModels(functools.partial(_TextModel, self.settings))

    def queue_sizes(self) -> Mapping[str, int]:
        return {WORKER: 1, LOADING: LOADING_THREADS}

    @property
    def encoder(self) -> Encoder[TextTower]:
        """Of the model that a library used last."""
        return self.models.last.encoder

    @endpoint("/calibrate", queue=LOADING)
    def calibrate(self, doc: Calibration, caller: Caller) -> str:
        """Fill in the embeddings of neutral phrases."""
        model = self.models.get(caller.model)
        doc.neutral_embedding = model.mean_phrase
        doc.phrases = DocList[QueryPart](
            model.fill_in(QueryPart(text=text), vector)
            for text, vector in zip(NEUTRAL_PHRASES, model.phrases, strict=True)
        )
        return f"{len(doc.phrases)} neutral phrases"

    def component(self, caller: Caller, /) -> Component:
        facts, warnings = self.models.describe(caller.model)
        return Component(name=self.executor_name, facts=facts, warnings=warnings)

    def _embed_texts(self, doc: Query, caller: Caller) -> Steps:
        """Fill in the embeddings of the query's texts, one in each step, and the warnings about them."""
        model = self.models.get(caller.model)
        doc.neutral_embedding = model.mean_phrase
        texts: list[TextMeaning] = [part for part in (doc, *doc.parts) if part.text.strip()]
        for number, part in enumerate(texts):
            if number:
                yield
            metrics.CACHE_LOOKUPS.labels("texts").inc()
            encoded = self.submit(WORKER, caller.owner, functools.partial(model.encode, part.text)).result()
            model.fill_in(part, encoded.vectors[0])
            is_sentence = model.encoder.spec.has_sentence_encoder
            part.sentence = part.embedding if is_sentence else _read_sentence(part.text)
            warnings = [*encoded.truncation_warnings, *language_warning(part.text, model.encoder.spec)]
            doc.warnings += model.warn_about_words(part.text, encoded.vectors[0])
            doc.warnings += [_with_text(part.text, warning) if len(texts) > 1 else warning for warning in warnings]
        return f"texts embedded: {len(texts)}" if texts else ""

    @endpoint("/search", queue=LOADING)
    def search(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_texts(doc, caller)

    @endpoint("/timeline", queue=LOADING)
    def timeline(self, doc: Query, caller: Caller) -> Steps:
        return self._embed_texts(doc, caller)

    @endpoint("/use_model")
    def use_model(self, doc: Model, caller: Caller) -> str:
        """Find the model here, too. Raises: UnknownModel, ModelUnavailable, ModelMismatch."""
        self._check_same(doc, find_model(self.settings, doc.name, with_folders=caller.server_folders))
        return ""

    @endpoint("/switch_model", queue=LOADING)
    def switch_model(self, doc: Model, _caller: Caller) -> str:
        """Load the model beside the one that answers, so that no search waits for it."""
        self._check_same(doc, self.models.get(doc.name, answers=False).encoder.model_id)
        return ""

    def _check_same(self, doc: Model, model_id: str) -> None:
        if doc.model_id != model_id:
            raise ModelMismatch(
                f"'{doc.name}' is {doc.model_id} where pictures are encoded, but {model_id} where texts are. Install "
                "the same files on both."
            )

    def close(self) -> None:
        self.models.close()
        super().close()


@functools.lru_cache(CACHED_TEXTS)
def _read_sentence(text: str) -> list[float]:
    """What a text means to the encoder that also reads the words of videos."""
    sentence: list[float] = shared_encoder().read([text])[0][0].tolist()
    return sentence


def _with_text(text: str, warning: str) -> str:
    return f"'{_shorten(text)}': {warning}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."
