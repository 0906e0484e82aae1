"""A user's FASTA file: odd ones are read, bad ones are refused in one message, and none is ever held whole."""

import gzip
import lzma
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_utils.core.errors import DataError
from halo_utils.data.fasta import Protein, count_proteins, in_chunks, sequence_hash, stream_proteins

PROTEIN = "MKVLAAGHWYTDESPLKQRN"

REFUSED: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", r"f.fasta is empty: expected FASTA records"),
    "only white space": (b"\n\n", r"row 1: ''; expected a FASTA header that starts with '>'"),
    "no header": (b"MKVLA\n", r"row 1: 'MKVLA.*'; expected a FASTA header"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\xff", r"f.fasta record 1: not UTF-8 text; save the file as UTF-8"),
    "a spreadsheet": (b"name,sequence\nP1,MKV\n", r"row 1: 'name,sequence.*; expected a FASTA header"),
    "a cut gzip": (gzip.compress(b">P1\nMKV\n")[:-9], r"f.fasta is damaged or cut off"),
    "nucleotides": (b">gene1\nATGGCCAAATTTGGGCCCTGA\n", r"record 1 \(gene1\): 100% .* nucleotides, .* translate it"),
    "RNA in lower case": (b">r\naugggcccaaauuugggccc\n", r"\(r\): 100% of its letters .* nucleotides"),
    "nucleotides with an N or two": (b">r\nATGGCCNNATTTGGGCCCTGAAAA\n", r"nucleotides, expected amino acids"),
    "an empty sequence": (b">P1\n>P2\nMKV\n", r"record 1 \(P1\): empty sequence; remove the record or fill it in"),
    "a stop codon alone": (b">P1\n*\n", r"record 1 \(P1\): empty sequence"),
    "a header without a name": (b">\nMKV\n", r"record 1 \(no name\): the name '' is not valid"),
    "a name that is a formula": (b">=cmd()\nMKV\n", r"the name '=cmd\(\)' is not valid: .* rename the protein"),
    "a name with markup": (b"><script>\nMKV\n", r"the name '<script>' is not valid"),
    "a stop codon inside": (b">P1\nMKV*LAA\n", r"\(P1\): a stop codon \(\*\) inside the sequence; cut the protein"),
    "an alignment": (b">P1\nMKV--LA.A\n", r"\(P1\): gaps \(- or .\), .* remove the gaps of the alignment"),
    "digits": (b">P1\n1 MKVLA 5\n", r"\(P1\): illegal residue\(s\) 1 5; expected one-letter amino acids"),
    "an illegal letter": (b">P1\nMKV\n>P2\nMJV\n", r"record 2 \(P2\): illegal residue\(s\) J; .* mask unknown"),
    "letters of another alphabet": (">P1\nMKΩ\n".encode(), r"illegal residue\(s\) Ω"),
    "a duplicate name": (b">P1\nMKV\n>P2\nMKL\n>P1\nMKV\n", r"record 3 \(P1\): the name occurs before"),
    "a duplicate accession": (b">sp|P1|A_X\nMKV\n>tr|P1|B_X\nMKL\n", r"record 2 \(P1\): the name occurs before"),
    "Latin-1": (b">P1 \xe9\nMKV\n", r"record 1: not UTF-8 text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_message(tmp_path: Path, case: str) -> None:
    content, message = REFUSED[case]
    (tmp_path / "f.fasta").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        count_proteins(tmp_path / "f.fasta")
    assert "\n" not in str(caught.value)


def test_a_duplicate_is_found_in_another_chunk(tmp_path: Path) -> None:
    names = [f"P{i}" for i in range(40)]
    (tmp_path / "f.fasta").write_text("".join(f">{name}\nMKV\n" for name in [*names, "P7"]))
    for size in (1, 7, 20, 100):
        with pytest.raises(DataError, match=r"record 41 \(P7\): the name occurs before"):
            count_proteins(tmp_path / "f.fasta", size)
    (tmp_path / "f.fasta").write_text("".join(f">{name}\nMKV\n" for name in names))
    assert count_proteins(tmp_path / "f.fasta", 7) == 40


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.fasta", tmp_path):
        with pytest.raises(DataError, match=r"not found: expected a FASTA file, or - to read standard input"):
            count_proteins(path)


READ: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "a UniProt header": (b">sp|P04637|P53_HUMAN Cellular\nMKV\n", [("P04637", "MKV")]),
    "an isoform": (b">sp|P04637-2|P53_HUMAN Isoform 2\nMKV\n", [("P04637-2", "MKV")]),
    "a plain name": (b">my_protein.1 something\nMKV\n", [("my_protein.1", "MKV")]),
    "a name with odd signs": (b">gene:12/1=x@y\nMKV\n", [("gene:12/1=x@y", "MKV")]),
    "a name in another script": (">蛋白1\nMKV\n".encode(), [("蛋白1", "MKV")]),
    "lower case": (b">a\nmkvlaa\n", [("a", "MKVLAA")]),
    "a last stop codon": (b">a\nMKVLAA*\n", [("a", "MKVLAA")]),
    "lines of a few letters, and spaces": (b">a\nMK V\nLA\n\nA\n", [("a", "MKVLAA")]),
    "Windows line ends and a byte order mark": (b"\xef\xbb\xbf>a\r\nMKV\r\n", [("a", "MKV")]),
    "rare residues": (b">a\nMXBZUO\n", [("a", "MXBZUO")]),
    "one residue": (b">a\nM\n", [("a", "M")]),
    "a short peptide of A, C, G and T": (b">a\nACGTGACA\n", [("a", "ACGTGACA")]),
    "silk, mostly G and A": (b">a\n" + b"GAGAGS" * 20 + b"\n", [("a", "GAGAGS" * 20)]),
    "gzip": (gzip.compress(b">a\nMKV\n>b\nMKL\n"), [("a", "MKV"), ("b", "MKL")]),
    "xz": (lzma.compress(b">a\nMKV\n"), [("a", "MKV")]),
    "no last line end": (b">a\nMKV", [("a", "MKV")]),
}


@pytest.mark.parametrize("case", READ)
def test_odd_input_is_read(tmp_path: Path, case: str) -> None:
    content, expected = READ[case]
    (tmp_path / "f.fasta").write_bytes(content)
    assert [(p.name, p.sequence) for p in stream_proteins(tmp_path / "f.fasta")] == expected
    assert count_proteins(tmp_path / "f.fasta") == len(expected)


def test_fragments_and_unknown_residues_are_warned_of() -> None:
    assert Protein("a", "a Ribonuclease", PROTEIN).warnings() == []
    said = Protein("a", "a Ribonuclease (Fragment)", PROTEIN).warnings()
    assert len(said) == 1 and "fragment" in said[0]
    assert "does not start with M" in Protein("a", "a", PROTEIN[1:]).warnings()[0]
    assert Protein("a", "a", "M" + "X" * 9).warnings() == ["90% of its residues are unknown (X)."]


def test_hashes_are_64_bits_and_do_not_change() -> None:
    assert sequence_hash(PROTEIN) == sequence_hash(PROTEIN) != sequence_hash(PROTEIN[:-1])
    assert -(2**63) <= sequence_hash(PROTEIN) < 2**63 and sequence_hash("MKV") == -6897378158872161761


def test_nothing_is_read_before_it_is_asked_for() -> None:
    read = 0

    def endless() -> Iterator[Protein]:
        nonlocal read
        while True:
            read += 1
            yield Protein(f"P{read}", "", "MKV")

    chunks = in_chunks(endless(), 3)
    for number in (1, 2, 3):
        assert len(next(chunks)) == 3 and read == 3 * number


def test_a_large_file_takes_as_much_memory_as_a_small_one(tmp_path: Path) -> None:
    def peak(proteins: int) -> int:
        path = tmp_path / f"{proteins}.fasta"
        with path.open("w") as file:
            file.writelines(f">P{i}\n{PROTEIN * 20}\n" for i in range(proteins))
        tracemalloc.start()
        try:
            assert sum(len(chunk) for chunk in in_chunks(stream_proteins(path), 100)) == proteins
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(500), peak(10_000)  # 4 MB of text
    assert large < 1.2 * small + 50_000
