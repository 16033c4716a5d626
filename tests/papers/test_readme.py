"""README.md says what is in results/."""

import subprocess

import pytest

from metamemory.errors import UserError
from metamemory.papers import readme
from metamemory.study.parameters import project_root

ROOT = project_root()


def test_the_readme_shows_what_is_in_results():
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--", "results"],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if changed.returncode or changed.stdout:
        pytest.skip("results/ are not the committed ones: `python -m metamemory report --readme` would write these")
    assert readme.results_section(ROOT) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / readme.PICTURE).stat().st_size > 10_000


@pytest.mark.parametrize("mark", [readme.BEGIN, readme.END])
def test_a_readme_without_its_marks_is_left_alone(tmp_path, mark):
    text = f"before\n{readme.BEGIN}\ntable\n{readme.END}\nafter".replace(mark, "")
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="README.md must have the line <!-- .* once, and has it 0 times"):
        readme.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text
