"""The models of a library on the wire: callers list, choose and forget them, and the runner switches to a new one."""

import logging
import time
from collections.abc import Mapping

from clipseek.api.base_document import copy_fields
from clipseek.api.endpoints import TEXT_ENCODER
from clipseek.api.limits import ANSWERS, AVAILABLE, CHANGE_MODEL, CHANGING, KEPT, UNFINISHED
from clipseek.api.model_ids import model_name
from clipseek.config.libraries import MAIN
from clipseek.config.profiles import is_same_model
from clipseek.schema import Model
from executors.faiss_indexer.job_executor import JobExecutor
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.model_libraries import ModelLibraries
from executors.faiss_indexer.store.jobs import JobRecord
from executors.faiss_indexer.store.models import StoredModel
from executors.flow.callers import Caller
from executors.flow.endpoint import endpoint

logger = logging.getLogger(__name__)

_MOST_MISSING = 100  # videos that are named at a time
MODELS = "models"  # a queue for changes of the model: they wait for the store and for an index


class ModelExecutor(JobExecutor):
    """An executor with libraries, each of which may hold the vectors of several models."""

    def models_of(self, name: str) -> ModelLibraries:
        """A library by all its models."""
        raise NotImplementedError

    def library(self, name: str) -> Library:
        """A library by the model that answers; created if there is none yet."""
        return self.models_of(name).of_model()

    def queue_sizes(self) -> Mapping[str, int]:
        return {**super().queue_sizes(), MODELS: 1}

    @endpoint("/model")
    def name_model(self, doc: Model, caller: Caller) -> str:
        """A library without a model gets that of the main one, so that the encoders need no second one for it."""
        model_ids = (self.models_of(library).models.answering() for library in (caller.library, MAIN))
        doc.model_id = next(filter(None, model_ids), "")
        doc.name = model_name(doc.model_id)
        return ""

    @endpoint("/models")
    def list_models(self, doc: Model, caller: Caller) -> list[Model]:
        job = self.jobs.model_change(caller.library, unfinished=False)
        stored = [_describe(model, job) for model in self.models_of(caller.library).models.all()]
        others = [name for name in doc.here if not any(is_same_model(name, model.name) for model in stored)]
        return [*stored, *(Model(name=name, state=AVAILABLE) for name in others)]

    @endpoint("/use_model", queue=MODELS)
    def use_model(self, doc: Model, caller: Caller) -> str:
        """File the job for the model that the encoders have found."""
        models = self.models_of(caller.library).models
        doc.name = model_name(doc.model_id)
        job = self.jobs.model_change(caller.library)
        is_answering = models.answering() == doc.model_id
        if job and (is_answering or job.title != doc.name):
            self.jobs.cancel(caller.library, job.job_id, time.time())
        if is_answering:
            doc.state = ANSWERS
            return ""
        models.prepare(doc.model_id)
        ask = JobRecord(kind=CHANGE_MODEL, library=caller.library, title=doc.name, caller=caller.name)
        job, _ = self.jobs.file(ask, time.time())
        self._fill_in(doc, caller, job)
        return f"{job.job_id} for {doc.name}"

    @endpoint("/forget_model", queue=MODELS)
    def forget_model(self, doc: Model, caller: Caller) -> str:
        libraries = self.models_of(caller.library)
        job = self.jobs.model_change(caller.library)
        libraries.forget(doc.name)
        if job and job.title == doc.name:
            self.jobs.cancel(caller.library, job.job_id, time.time())
        self.audit.write("model forgotten", caller=caller.name, library=caller.library, title=doc.name)
        doc.state = ""
        return doc.name

    # For runners

    @endpoint("/switch_model", queue=MODELS)
    def switch_model(self, doc: Model, caller: Caller) -> str:
        libraries = self.models_of(caller.library)
        libraries.of_model(doc.model_id).follow()  # its index is ready before it answers
        job = self.jobs.model_change(caller.library)
        is_switched = TEXT_ENCODER in caller.route and libraries.models.switch(doc.model_id)
        if not is_switched:
            failed = doc.failed_video_ids
            doc.missing_video_ids = libraries.models.missing_videos(doc.model_id, _MOST_MISSING, failed)
        doc.failed_video_ids = []
        self._fill_in(doc, caller, job)
        if not is_switched:
            return ""
        who = job.caller if job else caller.name
        self.audit.write("model changed", caller=who, library=caller.library, title=doc.name)
        logger.info("the library '%s' answers with the model %s", caller.library, doc.model_id)
        return f"{doc.name} answers"

    def _fill_in(self, doc: Model, caller: Caller, job: JobRecord | None) -> None:
        stored = self.models_of(caller.library).models.all()
        model = next((model for model in stored if model.model_id == doc.model_id), None)
        if model:
            described = _describe(model, job)
            described.missing_video_ids = doc.missing_video_ids
            copy_fields(described, doc)


def _describe(model: StoredModel, job: JobRecord | None) -> Model:
    described = Model(
        name=model.name,
        model_id=model.model_id,
        state=ANSWERS if model.answers else KEPT,
        covered_seconds=model.covered_seconds,
        total_seconds=model.total_seconds,
    )
    if job and job.title == model.name and not model.answers:
        if job.state in UNFINISHED:
            described.state, described.job_id = CHANGING, job.job_id
        described.error = job.error
    return described
