"""Finds what is said, subtitled and written in a made talk of five minutes: the right line first, with its edges.

`python -m benchmarks.talk` makes a video with 20 slides in English and Chinese, 20 spoken sentences (espeak-ng, which
must be installed) and a track of 20 subtitles, has a service index it, and asks a query about each, in other words
than the line's where it can. It prints how many are right: the first match lies within a second of the line, at both
edges. Then it asks 20 phrases that nobody says, of which none may count. A synthetic voice is clearer than people are:
`benchmarks.words` has the error rates of real ones.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.service_memory import started
from clipseek.client import Client

SECONDS, FPS, SIZE, RATE = 300, 10, (1280, 720), 22050
EDGE_SECONDS, LEAST_RIGHT = 1.0, 18
_SLIDE_SECONDS, _SPEECH_PAUSE, _SUBTITLES_FROM, _SUBTITLE_STEP, _SUBTITLE_SECONDS = 15, 0.9, 125.0, 8.5, 4.0
_FONT = "NotoSansCJK-Regular.ttc"

# A line of each kind, and the query that must find it.
SPOKEN = {
    "The first telescope was built by a Dutch spectacle maker.": "telescope built by a spectacle maker",
    "Penguins keep their eggs warm on top of their feet.": "penguin eggs",
    "Our train leaves from platform nine at half past six.": "platform nine",
    "Please boil the potatoes for twenty minutes.": "boiling potatoes",
    "The bridge was closed because of strong wind.": "bridge closed",
    "She plays the cello in a small orchestra.": "cello orchestra",
    "Gold is heavier than silver and much more expensive.": "gold heavier than silver",
    "The library opens every morning at eight.": "library opens",
    "Wolves hunt together and share their food.": "wolves hunting",
    "This medicine should be taken before meals.": "take medicine before meals",
    "The painter mixed blue and yellow to get green.": "painter mixed colours blue and yellow",
    "Our satellite takes a picture of the ocean every hour.": "satellite pictures of the ocean",
    "My grandfather repaired old clocks and watches.": "grandfather repaired clocks",
    "The volcano has been quiet for three hundred years.": "volcano",
    "You can pay the rent at the end of the month.": "pay the rent",
    "Bees visit thousands of flowers in a single day.": "bees and flowers",
    "The judge asked the witness to speak louder.": "judge and witness",
    "Winter tyres are required in the mountains.": "winter tyres",
    "The museum bought a painting from the seventeenth century.": "museum bought a painting",
    "Fresh bread is baked here before sunrise.": "bread baked before sunrise",
}
WRITTEN = {
    "Quarterly revenue by region": "revenue by region",
    "人工智能的历史": "人工智能",
    "Kubernetes cluster setup": "kubernetes",
    "量子计算入门": "量子计算",
    "Chapter 7: Photosynthesis": "photosynthesis",
    "中国古代建筑": "古代建筑",
    "Invoice number 48213": "48213",
    "城市交通规划": "交通规划",
    "Gradient descent step by step": "gradient descent",
    "海洋生物保护": "海洋生物",
    "Emergency exit on the left": "emergency exit",
    "健康饮食指南": "健康饮食",
    "Merger announced in Zurich": "merger Zurich",
    "高等数学第三章": "高等数学",
    "Safety rules for the laboratory": "laboratory safety rules",
    "可再生能源政策": "可再生能源",
    "Meeting agenda, 14 March": "meeting agenda",
    "宋代诗词欣赏": "宋代诗词",
    "Rainfall in the Amazon basin": "rainfall Amazon",
    "网络安全基础": "网络安全",
}
SUBTITLED = {
    "I left my passport at the hotel.": "passport at the hotel",
    "我们明天去爬山。": "明天爬山",
    "The captain refuses to turn the ship around.": "captain refuses to turn around",
    "这家餐厅的饺子很好吃。": "餐厅的饺子",
    "Your lawyer called about the inheritance.": "lawyer inheritance",
    "请把窗户关上。": "关窗户",
    "There is a spider under the bed.": "spider under the bed",
    "他昨天买了一辆自行车。": "买自行车",
    "Nobody has lived in that castle for years.": "nobody lives in the castle",
    "火车晚点了两个小时。": "火车晚点",
    "The goalkeeper broke his finger.": "goalkeeper finger",
    "妹妹正在学习弹钢琴。": "学弹钢琴",
    "We buried the treasure near the lighthouse.": "buried treasure",
    "医生建议他多休息。": "医生建议休息",
    "The elevator is out of order again.": "elevator out of order",
    "这幅画值一百万美元。": "一百万美元",
    "Her violin was stolen from the theatre.": "stolen violin",
    "夏天的时候这里很热。": "夏天很热",
    "The wedding takes place on a Saturday in June.": "wedding in June",
    "爷爷给我讲了一个故事。": "爷爷讲故事",
}
ABSURD = (
    "a submarine under the ice", "dinosaur skeleton", "两只老虎打架", "football stadium", "tax return", "滑雪比赛",
    "chocolate factory", "knitting a sweater", "a horse jumping", "沙漠里的骆驼", "nuclear reactor", "baby crying",
    "理发店", "surfing a big wave", "chess tournament", "polar bear", "怎么修冰箱", "wine tasting", "haunted forest",
    "skateboard tricks",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of the talk, `[start, end)`, and the query that must find it."""

    start: float
    end: float
    text: str
    query: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep the made video here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = options.keep or Path(folder) / "talk.mkv"
        lines = make_talk(video)
        with started(Path(folder) / "service") as service, service.client() as client:
            seconds = read_words(client, video)
            rights = {kind: sum(is_right(client, line) for line in of_kind) for kind, of_kind in lines.items()}
            counting = [phrase for phrase in ABSURD if client.search(phrase, look_in=["heard", "written"]).matches]
    for kind, right in rights.items():
        print(f"{kind:10} {right:3} of {len(lines[kind])} right first with both edges within {EDGE_SECONDS:g} s")
    print(f"{'absurd':10} {len(counting):3} of {len(ABSURD)} with a match that counts {counting or ''}")
    print(f"{'reading':10} {seconds:.0f} s for {SECONDS} s of video")
    sys.exit(min(rights.values()) < LEAST_RIGHT or bool(counting))


def read_words(client: Client, video: Path) -> float:
    """Index a video and wait for its words. Returns: how long they took, in seconds."""
    video_id = client.index(video).video.video_id
    started = time.monotonic()
    client.read_words(video_id)
    return time.monotonic() - started


def is_right(client: Client, line: Line) -> bool:
    """Whether the first match of a line's query is the line; says what it is otherwise."""
    matches = client.search(line.query).matches
    if matches:
        first = matches[0]
        if abs(first.start_seconds - line.start) <= EDGE_SECONDS and abs(first.end_seconds - line.end) <= EDGE_SECONDS:
            return True
        found = f"[{first.start_seconds:.1f}, {first.end_seconds:.1f}) {','.join(first.reasons)} {first.line!r}"
    else:
        found = "nothing"
    print(f"  {line.query!r}: {found}, not [{line.start:.1f}, {line.end:.1f}) {line.text!r}", file=sys.stderr)
    return False


def make_talk(path: Path) -> dict[str, list[Line]]:
    """Write the video. Returns: its lines, by kind."""
    slides = [
        Line(number * _SLIDE_SECONDS, (number + 1) * _SLIDE_SECONDS, text, query)
        for number, (text, query) in enumerate(WRITTEN.items())
    ]
    subtitles = [
        Line(start, start + _SUBTITLE_SECONDS, text, query)
        for number, (text, query) in enumerate(SUBTITLED.items())
        for start in [_SUBTITLES_FROM + number * _SUBTITLE_STEP]
    ]
    sound, spoken = speak(path.with_suffix(".wav"))
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", FPS, options={"preset": "ultrafast", "g": "20"})
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        audio = container.add_stream("aac", RATE, layout="mono")
        for slide in slides:
            image = draw_slide(slide.text)
            for _ in range(_SLIDE_SECONDS * FPS):
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        container.mux(pictures.encode(None))
        for first in range(0, len(sound), RATE):
            frame = av.AudioFrame.from_ndarray(sound[None, first : first + RATE], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    add_subtitles(path, subtitles)
    return {"heard": spoken, "written": slides, "subtitled": subtitles}


def draw_slide(text: str) -> Image.Image:
    image = Image.new("RGB", SIZE, (250, 250, 245))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0], 90), fill=(30, 60, 120))
    draw.text((80, 300), text, font=ImageFont.truetype(_FONT, 56), fill=(20, 20, 20))
    return image


def speak(scratch: Path) -> tuple[np.ndarray, list[Line]]:
    """The sound, int16 [samples], and when each sentence is said in it, by two voices in turn."""
    sound = np.zeros(SECONDS * RATE, np.int16)
    lines, at = [], 1.0
    for number, (text, query) in enumerate(SPOKEN.items()):
        voice = ("en-us", "en-gb")[number % 2]
        subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", str(scratch), text], check=True)
        with wave.open(str(scratch)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        loud = np.flatnonzero(np.abs(samples) > 300)
        samples = samples[loud[0] : loud[-1] + 1]
        first = round(at * RATE)
        sound[first : first + len(samples)] = samples
        lines.append(Line(at, at + len(samples) / RATE, text, query))
        at += len(samples) / RATE + _SPEECH_PAUSE
    scratch.unlink()
    return sound, lines


def add_subtitles(path: Path, lines: list[Line]) -> None:
    """Put the lines into the file as a track."""
    srt, whole = path.with_suffix(".srt"), path.with_name(f"whole-{path.name}")
    srt.write_text(
        "\n".join(
            f"{number}\n{clock(line.start)} --> {clock(line.end)}\n{line.text}\n"
            for number, line in enumerate(lines, 1)
        ),
        encoding="utf-8",
    )
    path.rename(whole)
    with av.open(str(whole)) as source, av.open(str(srt)) as text, av.open(str(path), "w") as target:
        streams = {stream: target.add_stream_from_template(stream) for stream in [*source.streams, text.streams[0]]}
        packets = [packet for file in (source, text) for packet in file.demux() if packet.dts is not None]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            packet.stream = streams[packet.stream]
            target.mux(packet)
    whole.unlink()
    srt.unlink()


def clock(seconds: float) -> str:
    """A time as SRT writes it."""
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3600000:02}:{milliseconds // 60000 % 60:02}:{milliseconds // 1000 % 60:02},"
        f"{milliseconds % 1000:03}"
    )


if __name__ == "__main__":
    main()
