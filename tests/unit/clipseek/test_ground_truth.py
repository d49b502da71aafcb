"""Files of queries: exact values out of each format, and what is said of files that are wrong."""

import json

import pytest

from clipseek.api.errors import FileMissing, InvalidGroundTruth
from clipseek.evaluation.ground_truth import FORMATS, TrueQuery, read_ground_truth

OWN = (
    '{"video": "a.mp4", "query": " a dog ", "moments": [[7, 9.5], [1.25, 3]], "split": "tune"}\n'
    "\n"
    '{"video": null, "query": "a camel", "moments": []}\n'
)
QVHIGHLIGHTS = (
    '{"qid": 9769, "query": "some military patriots", "duration": 150, "vid": "j7rJstUseKg_360.0_510.0", '
    '"relevant_windows": [[72, 82], [84, 94]], "relevant_clip_ids": [36], "saliency_scores": [[4, 4, 2]]}\n'
)
DIDEMO = json.dumps(
    [
        {
            "annotation_id": 1,
            "description": "camera zooms in",
            "video": "1@N0_2.mov",
            "times": [[0, 0], [1, 2], [1, 1]],
        },
        {"annotation_id": 2, "description": "the end", "video": "b.avi", "times": [[5, 5], [5, 5], [4, 5], [5, 5]]},
    ]
)
CHARADES = "3MSZA 24.3 30.4##person turn a light on.\nAO8RW 0 6.9 ## a person puts a book on a shelf.\r\n"


def written(tmp_path, text: str | bytes):
    path = tmp_path / "truth.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("form", "text", "queries"),
    [
        (
            "clipseek",
            OWN,
            [TrueQuery(1, "a.mp4", "a dog", ((1.25, 3.0), (7.0, 9.5))), TrueQuery(3, None, "a camel", ())],
        ),
        (
            "qvhighlights",
            QVHIGHLIGHTS,
            [TrueQuery(1, "j7rJstUseKg_360.0_510.0", "some military patriots", ((72.0, 82.0), (84.0, 94.0)))],
        ),
        (
            # 0-5, 5-15 and 5-10: the mean IoU with all is 1/3, 1/2 and 1/2, and the first of equals is taken
            "didemo",
            DIDEMO,
            [
                TrueQuery(1, "1@N0_2.mov", "camera zooms in", ((5.0, 15.0),)),
                TrueQuery(1, "b.avi", "the end", ((25.0, 30.0),)),
            ],
        ),
        (
            "charades-sta",
            CHARADES,
            [
                TrueQuery(1, "3MSZA", "person turn a light on.", ((24.3, 30.4),)),
                TrueQuery(2, "AO8RW", "a person puts a book on a shelf.", ((0.0, 6.9),)),
            ],
        ),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["named", "recognised"])
def test_each_format_named_and_recognised(tmp_path, form, text, queries, named):
    assert read_ground_truth(written(tmp_path, text), form if named else None) == queries


def test_a_byte_order_mark_and_a_list_over_several_lines(tmp_path):
    assert len(read_ground_truth(written(tmp_path, "\ufeff" + OWN))) == 2
    spread = json.dumps(json.loads(DIDEMO), indent=1)
    assert [query.line for query in read_ground_truth(written(tmp_path, spread))] == [2, 21]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: this is not JSON: Expecting property name"),
        ("[1]", r"line 2: this must be an object with fields, but is \[1\]"),
        ('{"query": "b", "moments": []}', "line 2: there is no 'video'"),
        ('{"video": 3, "query": "b", "moments": []}', "line 2: 'video' must be a title, an id or null, but is 3"),
        ('{"video": " ", "query": "b", "moments": []}', "line 2: 'video' must be a title"),
        ('{"video": "a", "query": "  ", "moments": []}', "line 2: 'query' must be a description, but is '  '"),
        ('{"video": "a", "query": 1, "moments": []}', "line 2: 'query' must be a description, but is 1"),
        ('{"video": "a", "query": "b"}', "line 2: there is no 'moments'"),
        ('{"video": "a", "query": "b", "moments": 3}', "line 2: 'moments' must be a list"),
        ('{"video": "a", "query": "b", "moments": [3, 4]}', "line 2: a moment must be a pair of numbers, but is 3"),
        ('{"video": "a", "query": "b", "moments": [[1, "2"]]}', r"a moment must be a pair of numbers, but is \[1, \"2"),
        ('{"video": "a", "query": "b", "moments": [[true, 2]]}', r"must be a pair of numbers, but is \[true, 2\]"),
        ('{"video": "a", "query": "b", "moments": [[3, 2]]}', r"0 <= start < end, but is \[3, 2\]"),
        ('{"video": "a", "query": "b", "moments": [[2, 2]]}', r"0 <= start < end, but is \[2, 2\]"),
        ('{"video": "a", "query": "b", "moments": [[-1, 2]]}', r"0 <= start < end, but is \[-1, 2\]"),
        ('{"video": "a", "query": "b", "moments": [[NaN, 2]]}', r"0 <= start < end, but is \[NaN, 2\]"),
        ('{"video": "a", "query": "b", "moments": [[1, 1e999]]}', r"0 <= start < end, but is \[1, Infinity\]"),
        ('{"video": "a", "query": "b", "moments": [[1, 1' + "0" * 400 + "]]}", "must be a pair of numbers of seconds"),
        ('{"video": "a", "query": "b", "moments": [[1, 3], [2, 4]]}', r"\[1.0, 3.0\] and \[2.0, 4.0\] overlap"),
        ('{"video": null, "query": "b", "moments": [[1, 3]]}', "line 2: 'video' is null"),
    ],
)
def test_a_malformed_line_is_named_with_its_number_and_what_is_wrong(tmp_path, line, told):
    path = written(tmp_path, '{"video": "a", "query": "b", "moments": []}\n' + line + "\n")
    with pytest.raises(InvalidGroundTruth, match=told) as raised:
        read_ground_truth(path)
    assert str(raised.value).startswith(f"{path}, line 2: ")


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        ("qvhighlights", '{"qid": 1, "query": "a", "vid": "b"}', "line 1: there is no 'relevant_windows'.*use val"),
        ("qvhighlights", '{"query": "a", "vid": 1, "relevant_windows": []}', "line 1: 'vid' must be the name of a"),
        ("didemo", '[{"description": "a", "video": "b", "times": []}]', "line 1, entry 1: 'times' must be a list"),
        ("didemo", '[{"description": "a",\n "video": "b", "times": [[2, 1]]}]', "line 1, entry 1: a time must be"),
        ("didemo", '[{"description": "a", "video": "b", "times": [[0.5, 1]]}]', "whole numbers"),
        ("didemo", '[\n{"description": "a"', "line 2, entry 1: this is not JSON"),
        ("didemo", "[1", "line 1, entry 1: this must be an object"),
        ("didemo", '[{"description": "a", "video": "b", "times": [[0, 0]]}\n', r"line 2: ',' or '\]' after entry 1"),
        ("didemo", '{"video": "b"}', r"line 1: a list, '\[' is missing"),
        ("didemo", "[]", "holds no queries"),
        ("charades-sta", "A 1 2##b\nA 1 2 b", "line 2: the line must be VIDEO start end##sentence, but is 'A 1 2 b'"),
        ("charades-sta", "A one 2##b", "line 1: the start must be a number of seconds, but is 'one'"),
        ("charades-sta", "A 3 2##b", r"line 1: .* but is \[3.0, 2.0\]"),
        ("charades-sta", "A 1 2##", "line 1: there is no sentence"),
        (None, "", "is empty"),
        (None, "\n \n", "is empty"),
        (None, "\nvideo,query,start,end", "line 2: 'video,query,start,end' has none of the formats clipseek, qvhigh"),
        (None, b"{}\n\xff", "line 2: not UTF-8"),
    ],
)
def test_files_that_are_wrong(tmp_path, form, text, told):
    with pytest.raises(InvalidGroundTruth, match=told):
        read_ground_truth(written(tmp_path, text), form)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileMissing, match=r"file '.*none.jsonl' cannot be read"):
        read_ground_truth(tmp_path / "none.jsonl")


def test_the_formats_have_the_names_that_the_documentation_uses():
    assert list(FORMATS) == ["clipseek", "qvhighlights", "didemo", "charades-sta"]
