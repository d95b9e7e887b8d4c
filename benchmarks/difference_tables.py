"""Tables of differences, DF and SIGDF, with the true ones on their scale, and how well they agree."""

import numpy as np
from scipy import stats

HELD_OUT = 0.05
FALLOFF_DEGREE = 4
LEVELS = (0.5, 0.683, 0.954)


def conventional_pair(paths, truth, wavelength_key):
    """Differences of two conventional merges, scaled together."""
    from vimerge.statistics import difference_table, scale_together

    merged = [conventional(path, wavelength_key=wavelength_key) for path in paths]
    return pair_table(scale_together(difference_table(*merged)), truth)


def conventional(path, *, anomalous=False, wavelength_key=None):
    """The merged table of a conventional merge."""
    from vimerge.conventional import ConventionalJob
    from vimerge.conventional.scaling import ScalingOptions

    job = ConventionalJob(
        files=(path,),
        reading={"anomalous": anomalous},
        scaling=ScalingOptions(wavelength_key=wavelength_key),
        test_fraction=HELD_OUT,
        half_datasets=0,
        seed=1,
    )
    return job.run().merged


def pair_table(table, truth):
    """ΔF of two data sets with the true one on the same scale."""
    table = table.join(truth[["F_OFF", "F_ON"]], how="inner")
    f, sd, true = (
        np.concatenate([table[name.format(*two)].to_numpy(float) for two in (("off", "OFF"), ("on", "ON"))])
        for name in ("F_{0}", "SIGF_{0}", "F_{1}")
    )
    factor = scale_to_truth(f, sd, true, np.tile(_s2(table), 2))[: len(table)]
    table["DF_TRUE"] = factor * (table["F_ON"] - table["F_OFF"]).to_numpy(float)
    return table[["DF", "SIGDF", "DF_TRUE"]]


def friedel_table(table, truth):
    """F(+) − F(−) with the true one on the same scale; the columns are named as those of pairs."""
    table = table[table["SIGDANO"] > 0].join(truth[["F(+)", "F(-)"]], rsuffix=" true", how="inner")
    f, sd, true = (
        np.concatenate([table[name.format(sign)].to_numpy(float) for sign in "+-"])
        for name in ("F({})", "SIGF({})", "F({}) true")
    )
    factor = scale_to_truth(f, sd, true, np.tile(_s2(table), 2))[: len(table)]
    table["DF_TRUE"] = factor * (table["F(+) true"] - table["F(-) true"]).to_numpy(float)
    return table.rename(columns={"DANO": "DF", "SIGDANO": "SIGDF"})[["DF", "SIGDF", "DF_TRUE"]]


def scale_to_truth(f, sd, true, s2):
    """What turns true into merged amplitudes, smooth in resolution and common to both of each two, [N].

    No data tell a factor of F from one of the scale, at any resolution.
    """
    strong = f > 5 * sd
    design = np.polynomial.chebyshev.chebvander(2.0 * s2 / s2.max() - 1.0, FALLOFF_DEGREE)
    weight = np.minimum(f / sd, 50.0)[strong]
    target = np.log(f[strong] / true[strong])
    return np.exp(design @ np.linalg.lstsq(design[strong] * weight[:, None], target * weight, rcond=None)[0])


def _s2(table):
    return table.cell.calculate_1_d2_array(np.ascontiguousarray(table.reset_index()[["H", "K", "L"]], np.int32))


def judge(table):
    """How near the differences are to the truth, and how often it is inside their intervals."""
    from vimerge.statistics import coverage, pearson, weighted_pearson

    df, sd, true = (table[name].to_numpy(float) for name in ("DF", "SIGDF", "DF_TRUE"))
    inside = coverage(stats.norm.cdf((true - df) / sd), levels=LEVELS).loc["overall"]
    size = np.sqrt(np.mean(true**2))
    return {
        "reflections": len(table),
        "CC": pearson(df, true),
        "CC weighted": weighted_pearson(df, true, sd**-2.0),
        "rms error": np.sqrt(np.mean((df - true) ** 2)) / size,
        "SIGDF": np.sqrt(np.mean(sd**2)) / size,
        **{level: 100.0 * inside[level] for level in LEVELS},
    }
