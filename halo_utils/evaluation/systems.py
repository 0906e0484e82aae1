"""TODO."""

SYSTEM_TITLES = {
    "nearest": "6-mer nearest neighbour",
    "composition": "composition baseline",
    "esm_paper_head": "ESM, the paper's head and loss",
    "esm_own_loss": "ESM, the paper's head, our loss",
    "esm_own_pooling": "ESM, our loss, pooling and hidden layer",
    "esm": "fine-tuned ESM",
    "esm_composition_mean": "mean of fine-tuned ESM and composition",
    "gat_pretrained": "GAT, pre-trained ESM",
    "gat_finetuned": "GAT, fine-tuned ESM",
    "gat_weighted": "GAT, weighted fine-tuned ESM",
    "gat_learned": "GAT, learned weights",
    "halo": "HALO (paper)",
    "halo_released_code": "HALO (released code)",
    "halo_gat_for_all": "HALO, GAT also without structure",
    "halo_sequence_only": "HALO (sequence-only)",
}
