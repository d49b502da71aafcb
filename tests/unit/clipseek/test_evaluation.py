"""What an evaluation asks, measures and leaves out, with a service whose answers are written down."""

import json
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner

from clipseek.api.documents import Match, Query, Video
from clipseek.api.errors import AmbiguousVideo, InvalidRequest, VideoNotFound
from clipseek.cli.commands.eval import is_same_title
from clipseek.cli.main import main
from clipseek.client import choose_video, client
from clipseek.evaluation.evaluate import evaluate_service
from clipseek.evaluation.ground_truth import TrueQuery
from clipseek.evaluation.measures import FALSE_ALARMS, MEASURES


def ready(video_id: str, duration_seconds: float) -> Video:
    return Video(video_id=video_id, duration_seconds=duration_seconds, status="ready")


@dataclass
class Written:
    """Videos and answers as given; remembers what it was asked."""

    videos: dict[str, Video]
    answers: dict[str, list[tuple[float, float]]]
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)

    def video(self, name):
        if name == "twice":
            raise AmbiguousVideo("'twice' means 2 videos")
        if name not in self.videos:
            raise VideoNotFound(name)
        return self.videos[name]

    def search(self, query, video_id, top_k, strategy):
        assert strategy == ""
        self.asked.append((query, video_id, top_k))
        return self.answers[query]


def test_each_query_is_asked_in_its_video_and_measured():
    service = Written(
        {"a": ready("id-a", 20.0), "b": ready("id-b", 30.0)},
        {"hit": [(0, 10)], "half": [(0, 6), (20, 30)], "nothing": [], "camel": [(1, 2)], "no camel": []},
    )
    queries = [
        TrueQuery(1, "a", "hit", ((0.0, 10.0),)),
        TrueQuery(2, "b", "half", ((0.0, 10.0), (20.0, 31.0))),  # the second ends with the video
        TrueQuery(3, "b", "nothing", ((0.0, 10.0),)),
        TrueQuery(4, None, "camel", ()),
        TrueQuery(5, "a", "no camel", ()),
    ]
    steps = []
    made = evaluate_service(service, queries, 7, lambda done, total: steps.append((done, total)))
    assert service.asked == [
        ("hit", "id-a", 7),
        ("half", "id-b", 7),
        ("nothing", "id-b", 7),
        ("camel", None, 7),
        ("no camel", "id-a", 7),
    ]
    means = {name: interval.mean for name, interval in made.measures[""].items()}
    # "half": precision 1 at both recalls up to IoU .6; from .65 on wrong, right: 1/2 at recall 1/2
    half = (3 * 1 + 7 * 0.25) / 10
    assert means == pytest.approx(
        {
            "R1@.3": 2 / 3,
            "R1@.5": 2 / 3,
            "R1@.7": 1 / 3,
            "mAP": (1 + half) / 3,
            "mAP@.5": 2 / 3,
            "mIoU": 1.6 / 3,
            FALSE_ALARMS: 0.5,
        }
    )
    assert {name: interval.queries for name, interval in made.measures[""].items()} == dict.fromkeys(MEASURES, 3) | {
        FALSE_ALARMS: 2
    }
    assert made.measures[""]["R1@.5"].low <= 2 / 3 <= made.measures[""]["R1@.5"].high
    assert (made.asked, made.left_out) == (5, ())
    assert steps == [(done, 5) for done in range(6)]


def test_queries_that_cannot_be_asked_are_named_with_the_reason():
    service = Written({"a": ready("id-a", 20.0), "half": Video(video_id="id-h", duration_seconds=9.0)}, {"x": []})
    queries = [
        TrueQuery(1, "gone", "x", ((0.0, 1.0),)),
        TrueQuery(2, "twice", "x", ()),
        TrueQuery(3, "half", "x", ()),
        TrueQuery(4, "a", "x", ((0.0, 1.0), (20.0, 25.0))),
    ]
    made = evaluate_service(service, queries, 5)
    assert [(each.query.line, each.why) for each in made.left_out] == [
        (1, "the video 'gone' is not in the library"),
        (2, "'twice' means 2 videos"),
        (3, "the video 'half' is not fully indexed: index it again"),
        (4, "a moment begins after the end of the video 'a', which is 20.0 s long"),
    ]
    assert (made.asked, made.measures, service.asked) == (0, {"": {}}, [])


def test_measures_that_no_query_is_about_are_not_there():
    service = Written({"a": ready("id-a", 20.0)}, {"x": []})
    assert list(evaluate_service(service, [TrueQuery(1, None, "x", ())], 5).measures[""]) == [FALSE_ALARMS]
    assert FALSE_ALARMS not in evaluate_service(service, [TrueQuery(1, "a", "x", ((0.0, 1.0),))], 5).measures[""]


def test_a_data_sets_name_means_the_title_with_any_suffix():
    titles = ("3MSZA.mp4", "n_210.0_360.0.mp4", "n_210.0_360.5", "b.mp4", "b.mkv", "")
    videos = [Video(video_id=str(i), title=title) for i, title in enumerate(titles)]

    def choose(name: str) -> Video:
        return choose_video(videos, name, lambda video: is_same_title(video.title, name))

    assert choose("3MSZA").video_id == "0"
    assert choose("3MSZA.avi").video_id == "0"
    assert choose("n_210.0_360.0").video_id == "1"
    assert choose("n_210.0_360.5.mp4").video_id == "2"
    with pytest.raises(VideoNotFound, match=r"'n_210\.0'"):
        choose("n_210.0")
    with pytest.raises(AmbiguousVideo, match=r"'b' fits 2 videos: 3 \(b.mp4\), 4 \(b.mkv\)"):
        choose("b")


# The command


@pytest.fixture
def server(monkeypatch):
    """A client that finds [0, 4) in video.mp4 whatever it is asked, all of it by otsu, and warns."""
    video = Video(video_id="f" * 64, title="video.mp4", duration_seconds=10.0, status="ready")

    def search(_, text, *, top_k, videos, strategy):
        assert (top_k, videos) == (10, ["f" * 64] if text == "a dog" else [])
        if strategy not in ("", "otsu", "none"):
            raise InvalidRequest(f"There is no strategy '{strategy}'.")
        found = Match(start_seconds=0.0, end_seconds=8.0 if strategy == "otsu" else 4.0)
        return Query(text=text, matches=[] if strategy == "none" else [found], warnings=["starter model"])

    monkeypatch.setattr(client.Client, "videos", lambda _: [video])
    monkeypatch.setattr(client.Client, "search", search)


def run(tmp_path, *rows: dict, options: tuple[str, ...] = ()):
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return CliRunner().invoke(main, ["eval", str(path), *options], env={"COLUMNS": "160"})


DOG = {"video": "video", "query": "a dog", "moments": [[0, 8]]}
CAMEL = {"video": None, "query": "a camel", "moments": []}
GONE = {"video": "gone.mp4", "query": "a cat", "moments": [[0, 1]]}


def test_the_table_is_on_stdout_and_talk_on_stderr(server, tmp_path):
    result = run(tmp_path, DOG, CAMEL, GONE, GONE)
    assert result.exit_code == 0
    rows = {line.split("  ")[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert rows["R1@.5"][:5] == ["100.0", "100.0", "-", "100.0", "1"]
    assert rows["R1@.7"][0] == "0.0"
    assert rows["mAP"][0] == "10.0"
    assert rows["mIoU"][0] == "50.0"
    assert rows["false alarms"][1:2] == ["100.0"]
    assert "note: starter model" in result.stderr
    assert "2 of 4 queries were left out:" in result.stderr
    assert "the video 'gone.mp4' is not in the library (2 queries, the first on line 3)" in result.stderr


def test_json_for_scripts(server, tmp_path):
    result = run(tmp_path, DOG, CAMEL, GONE, options=("--json",))
    data = json.loads(result.stdout)
    assert (result.exit_code, data["asked"], data["top_k"]) == (0, 2, 10)
    assert data["measures"]["mIoU"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "queries": 1}
    assert data["measures"]["false alarms"]["mean"] == 1.0
    assert data["left_out"] == [
        {"line": 3, "video": "gone.mp4", "query": "a cat", "why": "the video 'gone.mp4' is not in the library"}
    ]


def test_exit_codes(server, tmp_path):
    nothing = run(tmp_path, GONE)
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "None of the 1 queries could be asked: the video 'gone.mp4' is not in the library" in nothing.stderr
    malformed = run(tmp_path, DOG, {"video": "video"})
    assert (malformed.exit_code, malformed.stdout) == (2, "")
    assert "truth.jsonl, line 2: there is no 'moments'" in malformed.stderr
    assert CliRunner().invoke(main, ["eval", str(tmp_path / "none")]).exit_code == 1
    assert run(tmp_path, DOG, options=("--format", "didemo")).exit_code == 2
    assert run(tmp_path, DOG, options=("--format", "csv")).exit_code == 2
    assert run(tmp_path, DOG, options=("--top-k", "0")).exit_code == 2


def test_strategies_are_measured_side_by_side_with_the_servers_own_first(server, tmp_path):
    result = run(tmp_path, DOG, CAMEL, options=("--strategies", "otsu,none", "--strategies", "otsu"))
    head, *lines = result.stdout.splitlines()
    assert head.split()[1:14:4] == ["default", "otsu", "none", "Queries"]
    rows = {line.split("  ")[0]: line.removeprefix("false alarms").split() for line in lines}
    interval = ["100.0", "-", "100.0"]
    assert rows["R1@.7"][1:13] == ["0.0", "0.0", "-", "0.0", "100.0", *interval, "0.0", "0.0", "-", "0.0"]
    assert rows["false alarms"][:13] == ["100.0", *interval, "100.0", *interval, "0.0", "0.0", "-", "0.0", "1"]
    data = json.loads(run(tmp_path, DOG, CAMEL, options=("--strategies", "otsu,none", "--json")).stdout)
    assert data["measures"]["mIoU"]["mean"] == 0.5
    assert {name: each["mIoU"]["mean"] for name, each in data["strategies"].items()} == {"otsu": 1.0, "none": 0.0}
    unknown = run(tmp_path, DOG, options=("--strategies", "guess"))
    assert (unknown.exit_code, unknown.stdout) == (2, "") and "no strategy 'guess'" in unknown.stderr
