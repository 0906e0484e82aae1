"""Every figure of a run: the notebook that draws it, and the table in ``data/results/<run>`` with what it shows."""

from typing import NamedTuple


class Record(NamedTuple):
    """Where a figure comes from."""

    notebook: str  # the notebook that draws it
    values: str | None  # the CSV of the plotted values; None where settings, single proteins or epochs are drawn


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
    "embedder_cost": Record("07_embedder_comparison", "embedder_cost.csv"),
    "embedder_roc": Record("07_embedder_comparison", None),
    "embedder_sizes": Record("07_embedder_comparison", "embedder_sizes.csv"),
    "embedder_pilots": Record("07_embedder_comparison", "embedder_pilots.csv"),
    "embedder_map": Record("07_embedder_comparison", None),
    "embedder_confusion": Record("07_embedder_comparison", None),
    "embedder_pr_roc": Record("07_embedder_comparison", None),
    "head_scores": Record("08_sequence_baselines", "head_scores.csv"),
    "attention_profiles": Record("08_sequence_baselines", None),
    "smote": Record("08_sequence_baselines", None),
    "luo_protocols": Record("08_sequence_baselines", "luo_protocols.csv"),
    "gvp_systems": Record("09_gvp_ensemble", "gvp_metrics.csv"),
    "gvp_agreement": Record("09_gvp_ensemble", "gvp_agreement.csv"),
    "gvp_contacts_systems": Record("09_gvp_ensemble", "gvp_contacts_metrics.csv"),
    "gvp_contacts_agreement": Record("09_gvp_ensemble", "gvp_contacts_agreement.csv"),
    "gwr_edges": Record("10_gwr", "gwr_edges.csv"),
    "gwr_training": Record("10_gwr", "gwr_training.csv"),
    "gwr_robustness": Record("10_gwr", "gwr_robustness.csv"),
    "gwr_letters": Record("10_gwr", "gwr_letters_metrics.csv"),
    "gwr_binary": Record("10_gwr", "gwr_binary_metrics.csv"),
    "residue_importance": Record("11_attribution", "residue_importance.csv"),
    "planted_shares": Record("11_attribution", "planted_shares.csv"),
    "importance_by_part": Record("11_attribution", "importance_by_part.csv"),
    "embedding_map": Record("11_attribution", "embedding_map.csv"),
    "strata": Record("11_attribution", "strata.csv"),
    "sensitivity_confidence": Record("12_sensitivity", "sensitivity_confidence.csv"),
    "sensitivity_band": Record("12_sensitivity", "sensitivity_band.csv"),
    "sensitivity_gates": Record("12_sensitivity", "sensitivity_gates.csv"),
    "errors_by_part": Record("12_sensitivity", "errors_by_part.csv"),
    "sensitivity_trials": Record("12_sensitivity", "sensitivity_trials.csv"),
    "pretraining": Record("A1_pretrain_backbone", "pretraining.csv"),
}
