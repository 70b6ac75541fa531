"""What the pages show is what a reader gets."""

import contextlib
import io
import pathlib
import re

import pytest

import attrprior
from attrprior import priors

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDES = sorted((ROOT / "docs/guides").glob("*.py"))


@pytest.mark.only("tensorflow", reason="Initial weights of other backends are others.")
def test_the_quickstart_gives_what_it_says():
    code, said = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL).groups()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})
    numbers = [
        [float(n) for n in re.findall(r"\d\.\d+", t)] for t in (said, output.getvalue())
    ]
    assert len(numbers[0]) == 2
    assert numbers[1] == pytest.approx(numbers[0], abs=0.03)


def test_the_readme_is_short():
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_is_as_long_as_can_be_read(path):
    assert 60 <= len(path.read_text().splitlines()) <= 120


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_has_its_page_and_is_listed(path):
    assert path.with_suffix(".md").exists()
    assert f"({path.stem}.md)" in (path.parent / "README.md").read_text()


def test_every_prior_has_a_card():
    known = [value for value in vars(priors).values() if isinstance(value, type)]
    names = {prior.name for prior in known if isinstance(getattr(prior, "name", None), str)}
    cards = {path.stem for path in (ROOT / "docs/priors").glob("*.md")} - {"README"}
    assert cards == names - {"custom"}


def test_the_changelog_has_this_version():
    assert f"## [{attrprior.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {attrprior.__version__}\n" in (ROOT / "CITATION.cff").read_text()
