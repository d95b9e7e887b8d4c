import numpy as np
import pytest

from vimerge.conventional.layout import make_layout
from vimerge.conventional.model import Coordinates, ModelOptions, ScaleModel
from vimerge.reflections import Reflections

COLUMNS = ["ROT", "XDET", "YDET", "S1X", "S1Y", "S1Z"]


@pytest.fixture(scope="session")
def measured(simulation, tmp_path_factory):
    """The shared simulation as a file, its table with Friedel mates apart and all that scales depend on."""
    path = simulation.write(tmp_path_factory.mktemp("conventional") / "data.mtz")[0]
    table = Reflections.read(path, anomalous=True, metadata=COLUMNS)
    assert len(table) == len(simulation.observations)
    return path, table


@pytest.fixture(scope="session")
def problem():
    """Make a small model with observations: problem(stills=False, sweeps=2, …) -> model, iobs, weight, theta."""

    def make(stills=False, sweeps=2, count=400, groups=60, images=12, noise=0.05, **options):
        rng = np.random.default_rng(1)
        options = {"scale_spacing": 30.0, "b_spacing": 60.0, "absorption": 2, "detector": 2, **options}
        group, image = rng.integers(groups, size=count), rng.integers(images, size=count)
        group[:groups] = np.arange(groups)
        sweep = np.zeros(count, int) if stills else image * sweeps // images
        layout = make_layout(group, sweep, chunk=90)
        direction = rng.normal(size=(count, 3))
        coordinates = Coordinates(
            s2=rng.uniform(0.01, 0.2, count),
            image_id=image,
            n_images=images,
            rotation=None if stills else image * 10.0 + rng.uniform(0, 10, count),
            direction=None if stills else direction / np.linalg.norm(direction, axis=1, keepdims=True),
            detector=rng.uniform(0, 100, (count, 2)),
        )
        model = ScaleModel(layout, coordinates.take(layout.order), ModelOptions(**options))
        theta = rng.normal(scale=0.1, size=model.size)
        truth = rng.gamma(1.0, 100.0, groups)[layout.group]
        iobs = np.exp(model.log_scale(theta)) * truth * (1 + noise * rng.normal(size=count))
        return model, iobs, (noise * truth + 1e-3) ** -2.0, theta

    return make
