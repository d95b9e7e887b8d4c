"""The README's scripts run as they are printed, on small data and for a few epochs."""

import re
from pathlib import Path

import reciprocalspaceship as rs

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_scripts_run(simulation, tmp_path, monkeypatch):
    train, subclass = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "epochs=40" in train
    train = train.replace("epochs=40", "epochs=3")
    monkeypatch.chdir(tmp_path)
    simulation.write("integrated.mtz")
    names = {}
    exec(train, names)
    assert {"F(+)", "SIGF(+)"} <= set(rs.read_mtz("merged.mtz").columns)
    exec(subclass, names)
    batch = next(iter(names["test"].dataset(shuffle=False)))
    density = names["likelihood"](batch["iobs"][None], batch)
    assert density.shape == (1, len(names["test"]))
