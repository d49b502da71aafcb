"""What the documents say of the models is what the profiles declare."""

from pathlib import Path

import pytest

from clipseek.config.profiles import PROFILES, STARTER_WARNING, get_command, short_name

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["models.md", "zh/models.md"])
@pytest.mark.parametrize("name", PROFILES)
def test_the_table_of_models_is_that_of_the_profiles(page, name):
    text, profile = (DOCS / page).read_text(encoding="utf-8"), PROFILES[name]
    [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}` |") and "/" in line]
    assert profile.open_clip_name in row and f"{profile.megabytes} MB" in row
    assert profile.licence in row or profile.licence == "research only"
    languages, _, rest = profile.languages.partition(" ")
    assert languages in row or rest == "", "the number of languages"


def test_a_model_is_got_by_its_short_name_and_size():
    assert short_name("ViT-B-32/laion2b_s34b_b79k") == "english" and short_name("ViT-B-16/openai") == "ViT-B-16/openai"
    assert get_command("ViT-B-32/laion2b_s34b_b79k") == "`clipseek model get english` (605 MB)"
    assert get_command("ViT-B-16/openai") == "`clipseek model get ViT-B-16/openai`"
    assert get_command("multilingual") in STARTER_WARNING
