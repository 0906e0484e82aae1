"""Every figure of a run: the notebook that draws it, and the table in ``data/results/<run>`` with what it shows."""

from typing import NamedTuple


class Record(NamedTuple):
    """Where a figure comes from."""

    notebook: str  # the notebook that draws it
    values: str | None  # the CSV of the plotted values; None where one protein or the settings are drawn


FIGURES = {
    "c_alpha_trace": Record("00_your_proteins", None),
    "example_protein": Record("01_data_preparation", None),
    "co_occurrence": Record("01_data_preparation", "audit_co_occurrence.csv"),
    "fig2_esm": Record("02_esm_finetuning", None),
    "esm_training": Record("02_esm_finetuning", "esm_training.csv"),
    "threshold_sweep": Record("02_esm_finetuning", "threshold_sweep.csv"),
    "fig4_confidence": Record("03_confidence_analysis", "confidence_bins.csv"),
    "fig4_beside_paper": Record("03_confidence_analysis", "confidence_wrong.csv"),
    "reliability": Record("03_confidence_analysis", "reliability_by_location.csv"),
    "fig3_gat": Record("04_gat_weighting", None),
    "contact_graph": Record("04_gat_weighting", "contact_graph.csv"),
    "weight_grid": Record("04_gat_weighting", "weight_grid.csv"),
    "gat_training": Record("04_gat_weighting", "gat_training.csv"),
    "fig1_halo": Record("05_halo_ensemble", "gate_changes.csv"),
    "gate_changes": Record("05_halo_ensemble", "gate_changes.csv"),
    "gate_flow": Record("05_halo_ensemble", "gate_flows.csv"),
    "systems": Record("05_halo_ensemble", "systems.csv"),
    "mcc_by_ground": Record("05_halo_ensemble", "mcc_by_ground.csv"),
    "edge_controls": Record("05_halo_ensemble", "hybrid_controls.csv"),
    "mcc_per_label": Record("05_halo_ensemble", "mcc_per_label.csv"),
    "containment_curve": Record("06_benchmark_comparison", "containment_curve.csv"),
    "residue_importance": Record("11_attribution", "residue_importance.csv"),
    "planted_shares": Record("11_attribution", "planted_shares.csv"),
    "importance_by_part": Record("11_attribution", "importance_by_part.csv"),
    "embedding_map": Record("11_attribution", "embedding_map.csv"),
    "strata": Record("11_attribution", "strata.csv"),
    "pretraining": Record("A1_pretrain_backbone", "pretraining.csv"),
}
