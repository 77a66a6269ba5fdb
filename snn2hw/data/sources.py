"""Where each data set comes from: addresses, checksums, licences.

Checksums: SHD and SSC by tonic (`tonic/datasets/hsd.py`); Speech Commands' two archives by
torchaudio (`torchaudio/datasets/speechcommands.py`), the second version's 12-class test set as
public repositories that load it agree. None was found for the first version's 12-class test set,
and none is published for what GitHub packs on demand: those are recorded at the first download.
The addresses are the publishers'; they were not tried by the tests, which serve files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        part: its name in the data set.
        url: where it is.
        checksum: "md5:..." or "sha256:..."; None: none is published.
        megabytes: size of the download, about.
        gives: what it unpacks into the data set's folder, the last to appear first. One name that
            ends in "/" is a folder for the whole content.
        top: whether all lies in one folder of the archive, as GitHub packs it.
    """

    part: str
    url: str
    checksum: str | None
    megabytes: int
    gives: tuple[str, ...]
    top: bool = False


@dataclass(frozen=True)
class Source:
    """A data set to download: name of its folder, what it is, licence, page, archives."""

    name: str
    what: str
    licence: str
    home: str
    archives: tuple[Archive, ...]


_HEIDELBERG = "https://zenkelab.org/datasets/"
_GOOGLE = "https://storage.googleapis.com/download.tensorflow.org/data/"
_GITHUB = "https://github.com/"


def _spikes(name: str, split: str, md5: str, megabytes: int) -> Archive:
    file = f"{name}_{split}.h5"
    return Archive(split, f"{_HEIDELBERG}{file}.zip", f"md5:{md5}", megabytes, (file,))


SHD = Source(
    "shd",
    "Spiking Heidelberg Digits: 10,420 spoken digits, English and German, as 700-channel spikes",
    "CC BY 4.0",
    "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
    (
        _spikes("shd", "train", "f3252aeb598ac776c1b526422d90eecb", 130),
        _spikes("shd", "test", "1503a5064faa34311c398fb0a1ed0a6f", 40),
    ),
)
SSC = Source(
    "ssc",
    "Spiking Speech Commands: 105,829 words of Google's second version as 700-channel spikes",
    "CC BY 4.0",
    "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
    (
        _spikes("ssc", "train", "d102be95e7144fcc0553d1f45ba94170", 1100),
        _spikes("ssc", "valid", "b4eee3516a4a90dd0c71a6ac23a8ae43", 150),
        _spikes("ssc", "test", "a35ff1e9cffdd02a20eb850c17c37748", 300),
    ),
)
GOOGLE = Source(
    "google_speech_commands",
    "Google Speech Commands: 64,727 clips of 30 words (v1), 105,829 of 35 (v2)",
    "CC BY 4.0",
    "https://arxiv.org/abs/1804.03209",
    (
        Archive(
            "v2",
            f"{_GOOGLE}speech_commands_v0.02.tar.gz",
            "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            2429,
            ("v2/",),
        ),
        Archive(
            "v2_test",
            f"{_GOOGLE}speech_commands_test_set_v0.02.tar.gz",
            "sha256:cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
            113,
            ("v2_test/",),
        ),
        Archive(
            "v1",
            f"{_GOOGLE}speech_commands_v0.01.tar.gz",
            "sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            1490,
            ("v1/",),
        ),
        Archive(
            "v1_test",
            f"{_GOOGLE}speech_commands_test_set_v0.01.tar.gz",
            None,
            72,
            ("v1_test/",),
        ),
    ),
)
ARABIC = Source(
    "arabic_speech_commands",
    "Arabic Speech Commands: 12,000 clips of 40 words, 30 speakers",
    "CC BY 4.0",
    f"{_GITHUB}abdulkaderghandoura/arabic-speech-commands-dataset",
    (
        Archive(
            "all",
            f"{_GITHUB}abdulkaderghandoura/arabic-speech-commands-dataset/archive/72f3438.tar.gz",
            None,
            350,
            ("train.csv", "val.csv", "test.csv", "dataset"),
            top=True,
        ),
    ),
)
DIGITS = Source(
    "free_spoken_digits",
    "Free Spoken Digits: 3000 clips of ten digits, 6 speakers",
    "CC BY-SA 4.0",
    f"{_GITHUB}Jakobovski/free-spoken-digit-dataset",
    (
        Archive(
            "all",
            f"{_GITHUB}Jakobovski/free-spoken-digit-dataset/archive/v1.0.10.tar.gz",
            None,
            16,
            ("recordings",),
            top=True,
        ),
    ),
)

SOURCES = {source.name: source for source in (SHD, SSC, GOOGLE, ARABIC, DIGITS)}
