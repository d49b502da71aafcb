"""A client that answers from memory, with those methods of `clipseek.Client` that the page uses."""

import io
from pathlib import Path

from PIL import Image

from clipseek.api.documents import Component, Job, Match, Model, Query, Transcript, Upload, Video
from clipseek.api.errors import EmptyQuery, NotFound, UnreadableVideo, VideoNotFound
from clipseek.client import Progress, SavedClip

CAT, DOG = "a" * 64, "b" * 64
LOW, FINE = 1_000_000_000, 90_000_000_000
VIDEO = b"a video" * 10  # longer than a ticket of `frontend/uploads/quirks.py`
BROKEN = b"broken" * 10


def video(video_id, title, **values):
    shape = {"width": 640, "height": 360, "fps": 25.0}
    given = {"duration_seconds": 60.0, "size_bytes": 5_000_000, "frames": 30, "status": "ready"} | shape
    return Video(video_id=video_id, title=title, **(given | values))


def match(video_id=CAT, title="cat.mp4", start=12.0, end=17.5, score=0.8):
    return Match(
        video_id=video_id,
        title=title,
        start_seconds=start,
        end_seconds=end,
        score=score,
        peak_seconds=(start + end) / 2,
    )


class FakeClient:
    """`asked` holds the arguments of each search. While `error` is set, every request raises it."""

    def __init__(self):
        self.library = [video(CAT, "cat.mp4"), video(DOG, "<b>dog</b>.mp4", duration_seconds=30.0)]
        self.found = [match(), match(DOG, "<b>dog</b>.mp4", 3.0, 5.0, 0.4)]
        self.withheld = []
        self.most = 1000
        self.error = None
        self.asked = []
        self.clips = []
        self.copied = ".mp4"  # suffix of copied clips
        self.indexed = []
        self.filed = []  # jobs of the service
        self.free_bytes = FINE
        self.model = "starter"
        self.models_of_library = [Model(name="starter", model_id="starter@1:2", state="answers")]
        self.roots = ""
        self.cues = []  # of every video
        self.all_read = True

    def _answer(self):
        if self.error:
            raise self.error

    def videos(self):
        self._answer()
        return list(self.library)

    def health(self):
        self._answer()
        return [
            Component(name="video_loader", facts={"free_bytes": str(self.free_bytes), "media_roots": self.roots}),
            Component(name="image_encoder", facts={"model": self.model, "device": "cpu"}),
        ]

    def models(self):
        self._answer()
        return list(self.models_of_library)

    def use_model(self, name, *, wait=True):
        self._answer()
        [model] = [model for model in self.models_of_library if model.name == name]
        model.state, model.job_id, model.total_seconds = "changing", "job-of-model", 100.0
        self.filed.append(Job(job_id=model.job_id, kind="model", title=name, state="running"))
        return model

    def search(self, text="", **options):
        self._answer()
        self.asked.append({"text": text} | options)
        if not (text or options["also"] or options["like"] or options["image"]):
            raise EmptyQuery("nothing asked")
        found = self.found + (self.withheld if options["all_matches"] else [])
        shown = found[: min(options["top_k"], self.most)]
        weaker = [] if options["all_matches"] or options["least_score"] > 0.5 else self.withheld
        return Query(
            text=text,
            answered=True,
            matches=list(shown),
            weaker_matches=list(weaker[: min(options["weaker"], options["top_k"] - len(shown))]),
            nothing_matches=not found,
            withheld=0 if options["all_matches"] else len(self.withheld),
            more=len(found) > len(shown),
            videos_searched=len(self.library),
        )

    def timeline(self, name, text="", **options):
        self._answer()
        self.asked.append({"timeline": name, "text": text})
        return Query(
            text=text,
            answered=True,
            matches=[each for each in self.found if each.video_id == name],
            cut_off=0.3,
            curve_pts_seconds=[0.0, 1.0, 2.0],
            curve_scores=[0.1, 0.8, 0.2],
            shot_start_seconds=[0.0, 1.5],
        )

    def transcript(self, name):
        self._answer()
        return Transcript(video_id=name, cues=list(self.cues), complete=self.all_read)

    def correct_cue(self, name, cue_id, text):
        self._answer()
        found = [cue for cue in self.cues if cue.cue_id == cue_id]
        if not found:
            raise NotFound("There is no such line.")
        found[0].text, found[0].edited = text, True
        self.cues = [cue for cue in self.cues if cue.text]
        return found[0]

    def read_words(self, name, *, wait=True):
        self._answer()
        self.filed.append(Job(job_id="job-of-words", kind="words", video_id=name, title="cat.mp4", state="waiting"))
        return self.filed[-1]

    def shots(self, name):
        return [(0.0, 1.5), (1.5, 60.0)]

    def thumbnail(self, name, at_seconds, *, width=320):
        picture = io.BytesIO()
        Image.new("RGB", (16, 9), (int(at_seconds) % 256, 80, 160)).save(picture, "JPEG")
        return picture.getvalue()

    def clip(self, name, start_seconds, end_seconds, output, *, mode="exact"):
        self._answer()
        self.clips.append((name, start_seconds, end_seconds, mode))
        output = Path(output).with_suffix(self.copied) if mode == "copy" else Path(output)
        output.write_bytes(b"clip")
        return SavedClip(output, start_seconds, end_seconds, 4)

    def join(self, moments, output, *, mode="exact"):
        self.clips += [(*moment, f"joined {mode}") for moment in moments]
        Path(output).write_bytes(b"video")
        return SavedClip(Path(output), 0.0, 1.0, 4)

    def jobs(self):
        self._answer()
        return list(self.filed)

    def cancel_job(self, job_id, *, forget=False):
        [job] = [each for each in self.filed if each.job_id == job_id]
        if forget:
            self.filed.remove(job)
        elif job.is_unfinished:
            job.state = "cancelled"
        return job

    def index(self, file, *, title=None, on_server=False, progress=lambda step: None, wait=True):
        self._answer()
        content = file if on_server else file.read_bytes()
        if content == BROKEN:
            raise UnreadableVideo("no video")
        progress(Progress("index", 1.0, 2.0))
        self.indexed.append((title, content))
        self.library.append(video(f"{len(self.library):012x}" + "0" * 52, title))
        return Job(video_id=self.library[-1].video_id, title=title, state="done")

    def resume(self, name, *, progress=lambda step: None, wait=True):
        [found] = [each for each in self.library if each.video_id == name]
        found.status = "ready"
        found.missing_start_seconds, found.missing_end_seconds = [], []
        self.filed = [job for job in self.filed if job.video_id != name]
        return Job(video_id=name, title=found.title, state="done")

    def add_samples(self, progress=lambda step: None, *, wait=True):
        self.library.append(video("5" * 64, "sample.mp4"))
        return [Job(video_id="5" * 64, title="sample.mp4", state="done")]

    def server_videos(self, folder):
        self._answer()
        return [Upload(server_path=f"{folder}/video.mp4", title="video.mp4", size_bytes=9)]

    def server_path(self, name):
        self._answer()
        return ""

    def rename(self, name, title):
        [found] = [each for each in self.library if each.video_id == name]
        found.title = title
        return found

    def delete(self, name):
        if not any(each.video_id == name for each in self.library):
            raise VideoNotFound("gone")
        self.library = [each for each in self.library if each.video_id != name]
