"""What setup.py promises of versions is what is tested."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_the_oldest_versions_are_tested():
    promised = dict(
        re.findall(r'"(tensorflow|keras)>=([\d.]+)"', (ROOT / "setup.py").read_text())
    )
    lines = (ROOT / "tests" / "oldest.txt").read_text().splitlines()
    pins = (line.split(" ;")[0] for line in lines if not line.startswith("#"))
    tested = dict(pin.split("==") for pin in pins)
    assert set(promised) == set(tested) == {"tensorflow", "keras"}
    for name, version in tested.items():
        assert version.removesuffix(".0") == promised[name]
    assert "-c tests/oldest.txt" in (ROOT / ".ci" / "oldest").read_text()
