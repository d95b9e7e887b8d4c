"""Reflections in mmCIF, as the Protein Data Bank wants them deposited."""

import gemmi
import numpy as np

from vimerge.reflections.free_flags import COLUMN, free_value
from vimerge.reflections.tables import versions
from vimerge.reflections.writing import write_together

__all__ = ["write_mmcif"]

# Items of _refln by the columns of merged tables [1].
_REFLN = {
    "F": "F_meas_au",
    "SIGF": "F_meas_sigma_au",
    "I": "intensity_meas",
    "SIGI": "intensity_sigma",
    "F(+)": "pdbx_F_plus",
    "SIGF(+)": "pdbx_F_plus_sigma",
    "F(-)": "pdbx_F_minus",
    "SIGF(-)": "pdbx_F_minus_sigma",
    "I(+)": "pdbx_I_plus",
    "SIGI(+)": "pdbx_I_plus_sigma",
    "I(-)": "pdbx_I_minus",
    "SIGI(-)": "pdbx_I_minus_sigma",
}
# Items by the columns of a table of statistics: of _reflns, of _reflns_shell, and a factor.
_STATISTICS = {
    "dmax": ("d_resolution_low", "d_res_low", 1),
    "dmin": ("d_resolution_high", "d_res_high", 1),
    "unique": ("number_obs", "number_unique_obs", 1),
    "possible": (None, "number_possible", 1),
    "observations": ("pdbx_number_measured_all", "number_measured_obs", 1),
    "completeness": ("percent_possible_obs", "percent_possible_obs", 100),
    "multiplicity": ("pdbx_redundancy", "pdbx_redundancy", 1),
    "mean_i_over_sigma": ("pdbx_netI_over_sigmaI", "meanI_over_sigI_obs", 1),
    "r_merge": ("pdbx_Rmerge_I_obs", "Rmerge_I_obs", 1),
    "r_meas": ("pdbx_Rrim_I_all", "pdbx_Rrim_I_all", 1),
    "r_pim": ("pdbx_Rpim_I_all", "pdbx_Rpim_I_all", 1),
    "cc_half": ("pdbx_CC_half", "pdbx_CC_half", 1),
    "cc_star": ("pdbx_CC_star", "pdbx_CC_star", 1),
    "r_split": ("pdbx_R_split", "pdbx_R_split", 1),
    "completeness_anomalous": ("pdbx_percent_possible_anomalous", "pdbx_percent_possible_anomalous", 100),
    "multiplicity_anomalous": ("pdbx_redundancy_anomalous", "pdbx_redundancy_anomalous", 1),
    "cc_anom": ("pdbx_CC_half_anomalous", "pdbx_CC_half_anomalous", 1),
    "anomalous_signal": ("pdbx_absDiff_over_sigma_anomalous", "pdbx_absDiff_over_sigma_anomalous", 1),
}
_COUNTS = ("unique", "possible", "observations")


def write_mmcif(path, merged, statistics=None, unmerged=None, entry="xxxx", wilson_b=None, wavelength=None):
    """
    Write merged reflections, their statistics and the observations, with the items of the PDBx/mmCIF dictionary [1]_.

    Parameters
    ----------
    path : path
        Complete or not there.
    merged : rs.DataSet
        Indexed by H, K, L, with some of F SIGF I SIGI and their anomalous counterparts; with FreeR_flag the `status`
        of the free set is "f" and that of others "o", and the flags are `pdbx_r_free_flag`.
    statistics : pandas.DataFrame, optional
        By resolution shell and "overall", with the columns of `vimerge.statistics.merging_table`.
    unmerged : rs.DataSet, optional
        Scaled observations: indexed by the observed H, K, L, with I, SIGI and image_id (counted from 0; from 1 in the
        file). They become a second block, <entry>A.
    entry : str, optional
        The entry's identifier, which also names the block.
    wilson_b : float, optional
        B factor of the Wilson plot (Å²).
    wavelength : float, optional
        In Å.

    References
    ----------
    .. [1] Westbrook, J. D. et al. (2022). J. Mol. Biol. 434, 167599; mmcif.wwpdb.org.
    """
    document = gemmi.cif.Document()
    block = _start(document, entry, entry, merged, wavelength)
    block.set_pair("_exptl_crystal.id", "1")
    block.set_pair("_reflns_scale.group_code", "1")
    if statistics is not None or wilson_b is not None:
        _write_overall(block, entry, statistics, wilson_b)
    if statistics is not None:
        _write_shells(block, statistics.drop(index="overall"))
    _write_software(block)
    _write_merged(block, merged)
    if unmerged is not None:
        _write_unmerged(_start(document, f"{entry}A", entry, unmerged, wavelength), unmerged)
    write_together({path: document.write_file})


def _start(document, name, entry, table, wavelength):
    block = document.add_new_block(name)
    block.set_pair("_entry.id", entry)
    block.set_pair("_cell.entry_id", entry)
    for item, value in zip(("length_a", "length_b", "length_c"), table.cell.parameters[:3], strict=True):
        block.set_pair(f"_cell.{item}", f"{value:.4f}")
    for item, value in zip(("angle_alpha", "angle_beta", "angle_gamma"), table.cell.parameters[3:], strict=True):
        block.set_pair(f"_cell.{item}", f"{value:.4f}")
    block.set_pair("_symmetry.entry_id", entry)
    # "H 3" to the archive is what the International Tables call R 3 on hexagonal axes.
    name = table.spacegroup.xhm()
    name = f"H{name[1:-2]}" if name.endswith(":H") else name
    block.set_pair("_symmetry.space_group_name_H-M", gemmi.cif.quote(name))
    block.set_pair("_symmetry.Int_Tables_number", str(table.spacegroup.number))
    block.set_pair("_diffrn.id", "1")
    block.set_pair("_diffrn.crystal_id", "1")
    block.set_pair("_diffrn_radiation_wavelength.id", "1")
    block.set_pair("_diffrn_radiation_wavelength.wavelength", "?" if wavelength is None else f"{wavelength:.5f}")
    return block


def _write_overall(block, entry, statistics, wilson_b):
    block.set_pair("_reflns.entry_id", entry)
    block.set_pair("_reflns.pdbx_ordinal", "1")
    block.set_pair("_reflns.pdbx_diffrn_id", "1")
    if wilson_b is not None:
        block.set_pair("_reflns.B_iso_Wilson_estimate", _number(wilson_b))
    for column, (item, _, factor) in _STATISTICS.items():
        if statistics is not None and item is not None and column in statistics:
            block.set_pair(f"_reflns.{item}", _number(factor * statistics.loc["overall", column], column))


def _write_shells(block, shells):
    columns = [column for column in _STATISTICS if column in shells]
    loop = block.init_mmcif_loop(
        "_reflns_shell.", ["pdbx_ordinal", "pdbx_diffrn_id", *(_STATISTICS[c][1] for c in columns)]
    )
    for i, (_, row) in enumerate(shells.iterrows(), 1):
        loop.add_row([str(i), "1", *(_number(_STATISTICS[c][2] * row[c], c) for c in columns)])


def _write_software(block):
    loop = block.init_mmcif_loop("_software.", ["pdbx_ordinal", "name", "version", "classification"])
    loop.add_row(["1", "vimerge", gemmi.cif.quote(versions(["vimerge"])["vimerge"]), "'data scaling'"])


def _write_merged(block, merged):
    there = [name for name in _REFLN if name in merged]
    hkl = merged.reset_index()[["H", "K", "L"]].to_numpy(np.int64)
    known = np.any([merged[name].notna().to_numpy() for name in there if name[:3] != "SIG"], axis=0)
    status = np.where(known, "o", "x")
    columns = {f"index_{name}": hkl[:, i].astype(str).tolist() for i, name in enumerate("hkl")}
    columns = {"crystal_id": "1", "wavelength_id": "1", "scale_group_code": "1"} | columns
    if COLUMN in merged:
        flags = merged[COLUMN].to_numpy(np.int64)
        status = np.where(known & (flags == free_value(flags)), "f", status)
    columns["status"] = status.tolist()
    columns |= {_REFLN[name]: _numbers(merged[name]) for name in there}
    if COLUMN in merged:
        columns["pdbx_r_free_flag"] = flags.astype(str).tolist()
    _fill(block.init_mmcif_loop("_refln.", list(columns)), columns, len(merged))


def _write_unmerged(block, unmerged):
    hkl = unmerged.reset_index()[["H", "K", "L"]].to_numpy(np.int64)
    columns = {"diffrn_id": "1"}
    columns["id"] = [str(i) for i in range(1, len(unmerged) + 1)]
    columns |= {f"index_{name}": hkl[:, i].astype(str).tolist() for i, name in enumerate("hkl")}
    columns |= {"intensity_net": _numbers(unmerged["I"]), "intensity_sigma": _numbers(unmerged["SIGI"])}
    columns["pdbx_image_id"] = (unmerged["image_id"].to_numpy(np.int64) + 1).astype(str).tolist()
    _fill(block.init_mmcif_loop("_diffrn_refln.", list(columns)), columns, len(unmerged))


def _fill(loop, columns, rows):
    loop.set_all_values([[value] * rows if isinstance(value, str) else value for value in columns.values()])


def _numbers(series):
    # Six digits are what single precision holds.
    return [_number(x) for x in series.to_numpy(np.float64).tolist()]


def _number(value, column=None):
    if value is None or not np.isfinite(value):
        return "?"
    return str(int(value)) if column in _COUNTS else f"{value:.6g}"
